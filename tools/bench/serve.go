package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tools/internal/measure"
)

// servePeer is our side of the benchmark: the training step on one synthetic
// batch, driven over the protocol.
func servePeer(c config, profile string, in io.Reader, out io.Writer) error {
	lib, err := runtime.FindLibrary("")
	if err != nil {
		return err
	}
	if err := runtime.Open(lib); err != nil {
		return err
	}
	block := 0
	if c.layout != "plain" {
		block = runtime.ChannelBlock()
	}
	kernels := c.layout == "kernels"
	if kernels {
		if _, err := runtime.FindKernels(lower.CPU); err != nil {
			return err
		}
	}
	set, err := artifact.Build(artifact.Spec{
		Model: c.model, Config: models.Config{Classes: c.classes, Input: [3]int{3, c.size, c.size}},
		Optimizer: "sgd", Batch: c.batch, Seed: 1,
		Lowering: lower.Options{Threads: c.threads, Block: block, Kernels: kernels},
	})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ortrain-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := set.Write(dir); err != nil {
		return err
	}
	t, err := runtime.NewTrainer(dir, runtime.Options{Threads: c.threads, Spinning: c.spinning, Profile: profile})
	if err != nil {
		return err
	}
	defer t.Close()
	images := make([]float32, c.batch*3*c.size*c.size)
	targets := make([]float32, c.batch*c.classes)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range images {
		images[i] = float32(rng.NormFloat64())
	}
	for i := range c.batch {
		targets[i*c.classes+rng.IntN(c.classes)] = 1
	}
	hyper, err := t.Hyper(map[string]float32{"lr": 0.01})
	if err != nil {
		return err
	}
	step := func() (float64, float32, error) {
		begun := time.Now()
		r, err := t.Step(images, targets, hyper)
		return time.Since(begun).Seconds(), r.Loss, err
	}
	for range 3 {
		if _, _, err := step(); err != nil {
			return err
		}
	}
	layout := "N×C×H×W"
	if block > 0 {
		layout = fmt.Sprintf("blocks of %d channels", block)
	}
	if kernels {
		layout = "kernel library, " + layout
	}
	info := map[string]any{
		"implementation": "ortrain", "version": "ONNX Runtime " + lib.Version, "model": c.model, "batch": c.batch,
		"size": c.size, "classes": c.classes, "threads": c.threads, "format": layout,
		"parameters": set.Manifest.ParamCount(), "cpu": runtime.CPUName(),
	}
	enc := json.NewEncoder(out)
	info["ready"] = true
	if err := enc.Encode(info); err != nil {
		return err
	}
	delete(info, "ready")
	info["multiply_adds"] = set.Manifest.Model.FLOPs
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		word, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		n, err := strconv.Atoi(rest)
		switch {
		case word == "quit":
			return nil
		case word == "gemm":
			rate, err := gemm(c.threads)
			if err != nil {
				return err
			}
			if err := enc.Encode(map[string]any{"gflops": rate}); err != nil {
				return err
			}
		case word == "info":
			peak, _ := measure.PeakMiB() // 0 where the system does not tell
			info["peak_rss_mib"] = int(peak)
			if err := enc.Encode(info); err != nil {
				return err
			}
		case word == "run" && err == nil && n > 0:
			var seconds []float64
			var loss float32
			for range n {
				s, l, err := step()
				if err != nil {
					return err
				}
				seconds, loss = append(seconds, s), l
			}
			if err := enc.Encode(map[string]any{"steps": seconds, "loss": loss}); err != nil {
				return err
			}
		default:
			if err := enc.Encode(map[string]any{"error": "unknown line " + strconv.Quote(lines.Text())}); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

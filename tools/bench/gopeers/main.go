// Command gopeers times the training step of a small convolutional network in
// other Go libraries, for tools/bench: it speaks the line protocol described
// in peer_pytorch.py. It is a module of its own, so that what it needs does
// not burden the product.
//
// The network (model small_cnn) has what all of them can differentiate: a 3×3
// convolution to 16 channels, ReLU, one of stride 2 to 32 channels, ReLU, the
// mean over the map, a linear layer; softmax cross-entropy and plain SGD.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// network is the small network's shape and initial values.
type network struct {
	batch, size, classes   int
	images, targets        []float32 // N×C×H×W and N×K
	w1, w2, weight, bias   []float32 // O×I×3×3, O×I×3×3, K×32, K
	channels, first, width int
}

const learningRate = 0.01

func newNetwork(batch, size, classes int) *network {
	n := &network{batch: batch, size: size, classes: classes, channels: 3, first: 16, width: 32}
	r := rand.New(rand.NewPCG(1, 2))
	normal := func(count int, deviation float64) []float32 {
		v := make([]float32, count)
		for i := range v {
			v[i] = float32(r.NormFloat64() * deviation)
		}
		return v
	}
	n.images = normal(batch*3*size*size, 1)
	n.targets = make([]float32, batch*classes)
	for i := range batch {
		n.targets[i*classes+r.IntN(classes)] = 1
	}
	n.w1, n.w2 = normal(16*3*9, 0.27), normal(32*16*9, 0.12)
	n.weight, n.bias = normal(classes*32, 0.18), make([]float32, classes)
	return n
}

// step runs one training step and returns its loss.
type step func() (float32, error)

var peers = map[string]func(*network) (step, string, error){"gomlx": gomlx, "gorgonia": gorgoniaStep}

func main() {
	name := flag.String("peer", "gomlx", "gomlx or gorgonia")
	model := flag.String("model", "small_cnn", "network")
	batch := flag.Int("batch", 64, "images a step")
	size := flag.Int("size", 32, "height and width of the images")
	classes := flag.Int("classes", 10, "classes")
	threads := flag.Int("threads", 2, "threads")
	flag.Bool("serve", true, "speak the protocol")
	flag.Parse()
	if err := serve(*name, *model, *batch, *size, *classes, *threads); err != nil {
		fmt.Fprintln(os.Stderr, "gopeers:", err)
		os.Exit(1)
	}
}

func serve(name, model string, batch, size, classes, threads int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: %v", name, r)
		}
	}()
	runtime.GOMAXPROCS(threads)
	build := peers[name]
	if build == nil || model != "small_cnn" {
		return fmt.Errorf("no peer %q for model %q", name, model)
	}
	run, version, err := build(newNetwork(batch, size, classes))
	if err != nil {
		return err
	}
	first, err := run()
	if err != nil {
		return err
	}
	if _, err := run(); err != nil {
		return err
	}
	info := map[string]any{"implementation": name, "version": version, "model": model, "batch": batch, "size": size,
		"threads": threads, "format": "", "first_loss": first, "ready": true}
	enc := json.NewEncoder(os.Stdout)
	if err := enc.Encode(info); err != nil {
		return err
	}
	delete(info, "ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		word, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		n, _ := strconv.Atoi(rest)
		switch {
		case word == "quit":
			return nil
		case word == "gemm":
			err = enc.Encode(map[string]any{"gflops": 0})
		case word == "info":
			info["peak_rss_mib"] = peakMiB()
			err = enc.Encode(info)
		case word == "run" && n > 0:
			var seconds []float64
			var loss float32
			for range n {
				begun := time.Now()
				if loss, err = run(); err != nil {
					return err
				}
				seconds = append(seconds, time.Since(begun).Seconds())
			}
			err = enc.Encode(map[string]any{"steps": seconds, "loss": loss})
		default:
			err = enc.Encode(map[string]any{"error": "unknown line " + strconv.Quote(lines.Text())})
		}
		if err != nil {
			return err
		}
	}
	return lines.Err()
}

func peakMiB() int {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return kib / 1024
		}
	}
	return 0
}

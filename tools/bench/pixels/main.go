// Command pixels times training on float32 images, which the loader normalises,
// beside 8-bit images, which the step normalises, on the CPU, in turn.
//
//	go run ./tools/bench/pixels
//
// What is timed, in images a second:
//
//   - loader: the batches alone, that nobody works on;
//   - training: loader and step together, as a run has them.
//
// Both at 32 pixels (crop, mirror; ResNet-8, batch 128) and at 224 (random
// resized crop of 256×256 images, mirror; ResNet-18, batch 16). The figures are
// medians over rounds in which all take their turns. They are written to
// testdata/results/pixels.csv.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tools/internal/measure"
	"github.com/ortrain/ortrain/tricks/pixel"
)

func main() {
	rounds := flag.Int("rounds", 7, "turns of each")
	threads := flag.Int("threads", 2, "threads of the step, and workers of the loader")
	out := flag.String("out", filepath.Join("testdata", "results", "pixels.csv"), "CSV file")
	flag.Parse()
	if err := run(*rounds, *threads, *out); err != nil {
		fmt.Fprintln(os.Stderr, "pixels:", err)
		os.Exit(1)
	}
}

// work is one shape of training.
type work struct {
	name, model      string
	source, size     int // pixels a side of the images as they lie, and as they are trained on
	batch            int
	loads, trains    int // batches of a turn
	steps            []string
	chain            *pixel.Chain
	set              *data.Subset
	floats, bytes    *runtime.Trainer
	loading, running [2][]float64 // images a second of floats and of bytes, one a round
}

func run(rounds, threads int, out string) error {
	goruntime.GOMAXPROCS(threads)
	lib, err := runtime.FindLibrary("")
	if err != nil {
		return err
	}
	if err := runtime.Open(lib); err != nil {
		return err
	}
	works := []*work{
		{name: "32 pixels", model: "resnet8", source: 32, size: 32, batch: 128, loads: 1000, trains: 40, steps: []string{"crop", "mirror"}},
		{name: "224 pixels", model: "resnet18", source: 256, size: 224, batch: 16, loads: 100, trains: 4, steps: []string{"random_resized_crop", "mirror"}},
	}
	for _, w := range works {
		if err := w.prepare(threads); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		defer w.floats.Close()
		defer w.bytes.Close()
	}
	for round := range rounds {
		for _, w := range works {
			for form := range 2 {
				load, err := w.turn(form == 1, threads, w.loads, false)
				if err != nil {
					return fmt.Errorf("%s: %w", w.name, err)
				}
				train, err := w.turn(form == 1, threads, w.trains, true)
				if err != nil {
					return fmt.Errorf("%s: %w", w.name, err)
				}
				w.loading[form], w.running[form] = append(w.loading[form], load), append(w.running[form], train)
			}
		}
		fmt.Fprintf(os.Stderr, "\rround %d of %d ", round+1, rounds)
	}
	fmt.Fprintln(os.Stderr)
	return report(works, rounds, threads, lib.Version, out)
}

// prepare makes images, chain and both steps.
func (w *work) prepare(threads int) error {
	size := pixel.Size{W: w.source, H: w.source, C: 3}
	n := (64 << 20) / size.Elements() // more than any cache holds
	pix := make([]uint8, n*size.Elements())
	for i := range pix {
		pix[i] = uint8(i * 2654435761 >> 13)
	}
	m, err := data.NewMemory(size, []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}, pix, make([]int, n))
	if err != nil {
		return err
	}
	w.set = data.Whole(m)
	info := pixel.Info{In: size, Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}}
	var steps []pixel.Named
	for _, name := range w.steps {
		o, err := pixel.Transforms.Defaults(name)
		if err != nil {
			return err
		}
		if c, ok := o.(*pixel.RandomResizedCropOptions); ok {
			c.Size = w.size
		}
		steps = append(steps, pixel.Named{Name: name, Options: o})
	}
	if w.chain, err = pixel.NewChain(info, steps...); err != nil {
		return err
	}
	scale, shift := w.chain.Normaliser().Affine()
	if w.floats, err = w.trainer(nil, threads); err != nil {
		return err
	}
	w.bytes, err = w.trainer(&artifact.Pixels{Scale: scale, Shift: shift}, threads)
	return err
}

func (w *work) trainer(p *artifact.Pixels, threads int) (*runtime.Trainer, error) {
	set, err := artifact.Build(artifact.Spec{
		Model: w.model, Config: models.Config{Classes: 10, Input: [3]int{3, w.size, w.size}}, Optimizer: "sgd", Batch: w.batch, Seed: 1, Pixels: p,
		Lowering: lower.Options{Threads: threads, Block: runtime.ChannelBlock()},
	})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ortrain-bench-pixels-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := set.Write(dir); err != nil {
		return nil, err
	}
	return runtime.NewTrainer(dir, runtime.Options{Threads: threads})
}

// turn times a number of batches of a loader that has been running for a few:
// then what it made ahead is used up.
func (w *work) turn(bytes bool, threads, batches int, train bool) (float64, error) {
	ctx := context.Background()
	l, err := data.NewLoader(ctx, w.set, data.LoaderOptions{
		Batch: w.batch, Train: true, Epochs: 1000, Chain: w.chain, Seed: 1, Workers: threads, Bytes: bytes})
	if err != nil {
		return 0, err
	}
	defer l.Close()
	t := w.floats
	if bytes {
		t = w.bytes
	}
	hyper, err := t.Hyper(map[string]float32{"lr": 0.001})
	if err != nil {
		return 0, err
	}
	ahead := 6
	if train {
		ahead = 2
	}
	var begun time.Time
	for i := range ahead + batches {
		if i == ahead {
			begun = time.Now()
		}
		b, err := l.Next(ctx)
		if err != nil {
			return 0, err
		}
		if train {
			in := runtime.Inputs{Images: b.Images, Bytes: b.Bytes, Targets: b.Targets}
			if _, err := t.StepInputs(in, hyper, 0, 1); err != nil {
				var diverged *runtime.NonFiniteError
				if !errors.As(err, &diverged) {
					return 0, err
				}
			}
		}
		b.Release()
	}
	return float64(batches*w.batch) / time.Since(begun).Seconds(), nil
}

// report prints the figures and writes them.
func report(works []*work, rounds, threads int, version, out string) error {
	table := [][]string{{"date", "work", "form", "model", "batch", "threads", "rounds", "images_per_second", "ratio_to_float32", "version", "cpu"}}
	for _, w := range works {
		for _, what := range []struct {
			name  string
			rates [2][]float64
		}{{"loader, ", w.loading}, {"training, ", w.running}} {
			ratios := make([]float64, rounds)
			for i := range ratios {
				ratios[i] = what.rates[1][i] / what.rates[0][i]
			}
			for form, name := range []string{"float32", "uint8"} {
				ratio := 1.0
				if form == 1 {
					ratio = measure.Median(ratios)
				}
				m := measure.Median(what.rates[form])
				fmt.Printf("%-22s %-8s %9.0f images/s  ratio %.3f\n", what.name+w.name, name, m, ratio)
				table = append(table, []string{time.Now().UTC().Format("2006-01-02"), what.name + w.name, name, w.model, fmt.Sprint(w.batch), fmt.Sprint(threads),
					fmt.Sprint(rounds), fmt.Sprintf("%.1f", m), fmt.Sprintf("%.3f", ratio), "ONNX Runtime " + version + ", " + goruntime.Version(), runtime.CPUName()})
			}
		}
	}
	if err := measure.WriteTable(out, table); err != nil {
		return err
	}
	fmt.Println("written to", out)
	return nil
}

// Precision trains the same network twice with the same images, in float32 and
// in mixed precision, and sets the losses beside each other.
//
//	go run ./tools/bench/precision -data-dir CIFAR [-models resnet8,resnet20] [-steps 100] [-seeds 3] [-out FILE.csv]
//
// Its rows of -models resnet8 -steps 100 and -models resnet20 -steps 300 make
// testdata/results/mixed_precision.csv. On a CPU mixed precision is
// slower, not faster: the casts are real, the float16 kernels are not. What the
// figures show is the arithmetic.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/tools/internal/measure"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// window is the number of steps whose losses make one row.
const window = 10

func main() {
	dir := flag.String("data-dir", "", "folder of CIFAR-10")
	models := flag.String("models", "resnet8,resnet20", "networks, comma-separated")
	steps := flag.Int("steps", 100, "training steps, a multiple of 10")
	seeds := flag.Int("seeds", 3, "runs of each")
	threads := flag.Int("threads", 2, "threads that run the models")
	out := flag.String("out", "", "CSV file to write; the table is printed in any case")
	flag.Parse()
	if err := compare(*dir, strings.Split(*models, ","), *steps, *seeds, *threads, *out); err != nil {
		fmt.Fprintln(os.Stderr, "precision:", err)
		os.Exit(1)
	}
}

// curve is what one run left.
type curve struct {
	losses         []float64 // of windows
	accuracy       float64   // on the test images
	skipped, scale float64
}

func compare(dir string, models []string, steps, seeds, threads int, out string) error {
	if steps < window || steps%window != 0 {
		return fmt.Errorf("-steps %d: give a multiple of %d", steps, window)
	}
	f := func(x float64, digits int) string { return strconv.FormatFloat(x, 'f', digits, 64) }
	rows := [][]string{{"date", "model", "data", "batch", "seed", "steps", "float32_loss", "mixed_loss", "float32_top1", "mixed_top1",
		"skipped_steps", "loss_scale", "onnxruntime", "cpu"}}
	for _, model := range models {
		for seed := 1; seed <= seeds; seed++ {
			full, err := train(dir, model, "float32", steps, seed, threads)
			if err != nil {
				return err
			}
			mixed, err := train(dir, model, "mixed", steps, seed, threads)
			if err != nil {
				return err
			}
			lib, _ := runtime.Opened()
			for i := range full.losses {
				row := []string{time.Now().UTC().Format(time.DateOnly), model, "cifar10", strconv.Itoa(batch), strconv.Itoa(seed), strconv.Itoa((i + 1) * window),
					f(full.losses[i], 4), f(mixed.losses[i], 4), "", "", "", "", lib.Version, runtime.CPUName()}
				if i == len(full.losses)-1 {
					copy(row[8:], []string{f(full.accuracy, 4), f(mixed.accuracy, 4), f(mixed.skipped, 0), f(mixed.scale, 0)})
				}
				rows = append(rows, row)
				fmt.Printf("%s seed %d, steps to %3d: loss %.4f in float32, %.4f in mixed precision\n", model, seed, (i+1)*window, full.losses[i], mixed.losses[i])
			}
			fmt.Printf("%s seed %d: top-1 %.4f and %.4f; %g steps skipped, the loss scaled by %g at the end\n",
				model, seed, full.accuracy, mixed.accuracy, mixed.skipped, mixed.scale)
		}
	}
	if out == "" {
		return nil
	}
	return measure.WriteTable(out, rows)
}

const batch = 64

// train takes the steps in one epoch.
func train(dir, model, precision string, steps, seed, threads int) (curve, error) {
	r := recipe.Default()
	for _, c := range []string{
		"data.name=cifar10", "data.dir=" + dir, "model.name=" + model, "epochs=1", "schedule.lr=0.05",
		fmt.Sprintf("batch=%d", batch), fmt.Sprintf("limit=%d", batch*steps), fmt.Sprintf("seed=%d", seed), fmt.Sprintf("threads=%d", threads),
		"precision=" + precision,
	} {
		if err := r.Set(c); err != nil {
			return curve{}, err
		}
	}
	out, err := os.MkdirTemp("", "ortrain-precision-")
	if err != nil {
		return curve{}, err
	}
	defer os.RemoveAll(out)
	rec := &recorder{}
	run := filepath.Join(out, "run")
	if _, err := job.Train(context.Background(), job.Config{Recipe: r, Out: run, Reporter: rec}); err != nil {
		return curve{}, err
	}
	rows, err := metrics.Read(filepath.Join(run, metrics.File))
	if err != nil {
		return curve{}, err
	}
	last := rows[len(rows)-1]
	c := curve{accuracy: last.TestAccuracy, skipped: last.Skipped, scale: last.LossScale}
	for n := window; n <= len(rec.means); n += window {
		// What is reported is the mean since the epoch began.
		before := 0.0
		if n > window {
			before = rec.means[n-window-1] * float64(n-window)
		}
		c.losses = append(c.losses, (rec.means[n-1]*float64(n)-before)/window)
	}
	return c, nil
}

// recorder keeps the mean loss after every step.
type recorder struct{ means []float64 }

func (*recorder) Start(job.Plan)        {}
func (r *recorder) Step(p job.Progress) { r.means = append(r.means, p.Loss) }
func (*recorder) Evaluating(_, _ int)   {}
func (*recorder) Epoch(job.Epoch)       {}
func (*recorder) Note(string)           {}

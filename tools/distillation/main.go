// Command distillation measures what a teacher brings on CIFAR-10: a small
// network with and without one, in the same budget (the same images, epochs,
// seeds and schedule).
//
//	go run ./tools/distillation -dir CIFAR10 -test-files test_batch_jpeg.bin -weights resnet56.th
//
// The teacher is a ResNet-56 from a file of its published weights, which is
// first written as an ONNX model and scored on the same test images. A run that
// is in the results already is skipped, so the command may be stopped and
// repeated. It writes OUT.csv, a line a run, and OUT.md, the means and standard
// deviations.
package main

import (
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tools/internal/budget"
	"github.com/ortrain/ortrain/tools/internal/measure"
	"github.com/ortrain/ortrain/tricks/recipe"

	"gonum.org/v1/gonum/stat"
)

type config struct {
	budget.Budget
	weights, out string
}

// variants are what is compared; the first is the run without a teacher.
var variants = []struct {
	name     string
	settings []string
}{
	{"labels alone", nil},
	{"weighted, T = 4, α = 0.9", []string{"teacher.alpha=0.9", "teacher.temperature=4"}},
	{"survey, T = 4", []string{"teacher.form=survey", "teacher.temperature=4"}},
}

var columns = []string{"date", "variant", "seed", "student", "images", "epochs", "batch", "lr", "test_files", "test_accuracy", "test_loss",
	"teacher_accuracy", "images_per_second", "teacher_wait_share", "seconds", "threads", "onnxruntime", "cpu"}

func main() {
	// The test images are looked at once, at the end.
	c := config{Budget: budget.Budget{Data: "cifar10", TestFiles: "test_batch.bin", Model: "resnet8", Limit: 1000, Epochs: 32, Batch: 64, Validation: 100, LR: 0.1,
		Seeds: 3, Threads: 1, Provider: "cpu"}}
	c.Flags(flag.CommandLine)
	flag.StringVar(&c.weights, "weights", "", "PyTorch state dict of the teacher, a ResNet-56 for pixels normalised by ImageNet's mean and std")
	flag.StringVar(&c.out, "out", filepath.Join("testdata", "results", "distillation_cifar10"), "results, without the ending")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "distillation:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config) error {
	if c.Dir == "" || c.weights == "" {
		return errors.New("give the data with -dir and the teacher's weights with -weights")
	}
	rows, err := readRows(c.out + ".csv")
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "ortrain-distillation-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	teacher, accuracy := filepath.Join(work, "resnet56.onnx"), 0.0
	for seed := 1; seed <= c.Seeds; seed++ {
		for _, v := range variants {
			if find(rows, v.name, seed) != nil {
				continue
			}
			if accuracy == 0 {
				if accuracy, err = c.teacher(ctx, teacher); err != nil {
					return err
				}
				fmt.Fprintf(os.Stderr, "the teacher reaches %.2f %% of %s\n", 100*accuracy, c.TestFiles)
			}
			row, err := c.train(ctx, v.name, v.settings, seed, teacher, accuracy, work)
			if err != nil {
				return err
			}
			rows = append(rows, row)
			fmt.Fprintf(os.Stderr, "%s, seed %d: %s\n", v.name, seed, row["test_accuracy"])
			if err := writeRows(c.out+".csv", rows); err != nil {
				return err
			}
		}
	}
	return c.table(rows)
}

// teacher writes the teacher's model and returns its accuracy.
func (c config) teacher(ctx context.Context, path string) (float64, error) {
	names, err := data.Lookup(c.Data)
	if err != nil {
		return 0, err
	}
	err = job.ExportWeights(job.WeightsConfig{
		File: c.weights, Model: "resnet56", Input: [3]int{3, 32, 32},
		Info: runtime.ModelInfo{Mean: []float32{0.485, 0.456, 0.406}, Std: []float32{0.229, 0.224, 0.225}, ClassNames: names.Classes},
	}, path)
	if err != nil {
		return 0, err
	}
	score, err := job.Evaluate(ctx, job.EvalConfig{ONNX: path, Execution: job.Execution{Threads: c.Threads},
		Data: recipe.Data{Name: c.Data, Dir: c.Dir, TestFiles: []string{c.TestFiles}}})
	return score.Top1, err
}

// train carries out one run and returns its row.
func (c config) train(ctx context.Context, name string, settings []string, seed int, teacher string, accuracy float64, work string) (map[string]string, error) {
	if settings != nil {
		// The variants of a seed share the teacher's answers.
		settings = append([]string{"teacher.models=[" + teacher + "]", "teacher.cache=epochs", "teacher.cache_dir=" + filepath.Join(work, "logits")}, settings...)
	}
	r, err := c.Recipe(seed, settings...)
	if err != nil {
		return nil, err
	}
	out, err := os.MkdirTemp(work, "run-")
	if err != nil {
		return nil, err
	}
	res, err := job.Train(ctx, job.Config{Recipe: r, Out: out})
	if err != nil {
		return nil, err
	}
	score, err := job.Evaluate(ctx, job.EvalConfig{Run: out, Execution: job.Execution{Threads: c.Threads}})
	if err != nil {
		return nil, err
	}
	lib, _ := runtime.Opened()
	number := func(v float64, decimals int) string { return strconv.FormatFloat(v, 'f', decimals, 64) }
	return map[string]string{
		"date": time.Now().UTC().Format(time.DateOnly), "variant": name, "seed": strconv.Itoa(seed), "student": c.Model,
		"images": strconv.Itoa(c.Limit), "epochs": strconv.Itoa(c.Epochs), "batch": strconv.Itoa(c.Batch), "lr": number(c.LR, -1),
		"test_files": c.TestFiles, "test_accuracy": number(score.Top1, 4), "test_loss": number(score.Loss, 4),
		"teacher_accuracy": number(accuracy, 4), "images_per_second": number(res.Last.ImagesPerSecond, 0),
		"teacher_wait_share": number(res.Last.TeacherWaitShare, 4), "seconds": number(res.Seconds, 0),
		"threads": strconv.Itoa(c.Threads), "onnxruntime": lib.Version, "cpu": runtime.CPUName(),
	}, nil
}

func find(rows []map[string]string, variant string, seed int) map[string]string {
	for _, r := range rows {
		if r["variant"] == variant && r["seed"] == strconv.Itoa(seed) {
			return r
		}
	}
	return nil
}

// table writes the means over the seeds.
func (c config) table(rows []map[string]string) error {
	if len(rows) == 0 {
		return errors.New("there are no runs")
	}
	first := rows[0]
	accuracy := func(r map[string]string, key string) float64 {
		v, _ := strconv.ParseFloat(r[key], 64)
		return 100 * v
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# A teacher on CIFAR-10\n\nMade by `go run ./tools/distillation` from the runs in `%s.csv`.\n\n", filepath.Base(c.out))
	fmt.Fprintf(&b, "%s, %s images, %s epochs of batches of %s, learning rate %s; tested on `%s`, where the teacher, a ResNet-56, reaches %.2f %%.\n\n",
		first["student"], first["images"], first["epochs"], first["batch"], first["lr"], first["test_files"], accuracy(first, "teacher_accuracy"))
	b.WriteString("| the student learns from | test accuracy, % | standard deviation | above labels alone | seeds |\n| --- | --- | --- | --- | --- |\n")
	base := 0.0
	for i, v := range variants {
		var got []float64
		for _, r := range rows {
			if r["variant"] == v.name {
				got = append(got, accuracy(r, "test_accuracy"))
			}
		}
		if len(got) == 0 {
			continue
		}
		mean, spread := stat.MeanStdDev(got, nil)
		if len(got) < 2 {
			spread = 0
		}
		above := "–"
		if i == 0 {
			base = mean
		} else {
			above = fmt.Sprintf("%+.2f", mean-base)
		}
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %s | %d |\n", v.name, mean, spread, above, len(got))
	}
	fmt.Print(b.String())
	return atomicfile.Write(c.out+".md", []byte(b.String()))
}

func readRows(path string) ([]map[string]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil || len(lines) == 0 || strings.Join(lines[0], ",") != strings.Join(columns, ",") {
		return nil, fmt.Errorf("%s is not a table of this command (%v); move it away", path, err)
	}
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range columns {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func writeRows(path string, rows []map[string]string) error {
	table := [][]string{columns}
	for _, r := range rows {
		var line []string
		for _, name := range columns {
			line = append(line, r[name])
		}
		table = append(table, line)
	}
	return measure.WriteTable(path, table)
}

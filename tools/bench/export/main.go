// Export compares the forms that a run can be exported in: accuracy, size and
// latency of float32 as trained and folded, float16 and int8 by each method of
// calibration. All take turns in one process.
//
//	go run ./tools/bench/export -run RUN [-limit N] [-threads N] [-out FILE.csv]
//
// It wrote testdata/results/export_*.csv when int8 weights had 8 bits unless a
// form says 7; now they have 7 unless it says 8. The runs were trained by
//
//	ortrain train --data mnist --model resnet8 --epochs 1 --limit 8000 --seed 1
//	ortrain train --data cifar10 --test-files test_batch_jpeg.bin --model resnet20 \
//	    --epochs 6 --limit 20000 --batch 128 --lr 0.2 --seed 1
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tools/internal/measure"
	"github.com/ortrain/ortrain/tricks/recipe"
)

func main() {
	run := flag.String("run", "", "run folder")
	data := flag.String("data-dir", "", "folder of the run's images, if not where it was trained")
	limit := flag.Int("limit", 0, "measure on so many held-out images; 0 means all")
	threads := flag.Int("threads", 2, "threads that run the models")
	out := flag.String("out", "", "CSV file to write; the table is printed in any case")
	flag.Parse()
	if err := compare(*run, *data, *limit, *threads, *out); err != nil {
		fmt.Fprintln(os.Stderr, "export:", err)
		os.Exit(1)
	}
}

func compare(run, dir string, limit, threads int, out string) error {
	forms, err := job.CompareForms(context.Background(), job.CompareConfig{
		Run: run, Data: recipe.Data{Dir: dir}, Limit: limit, Execution: job.Execution{Threads: threads}})
	if err != nil {
		return err
	}
	r, err := recipe.Load(filepath.Join(run, job.RecipeFile))
	if err != nil {
		return err
	}
	lib, _ := runtime.Opened()
	rows := [][]string{{"date", "model", "data", "epochs", "train_images", "form", "bytes", "images", "top1", "top5", "loss", "same_class",
		"batch1_p50_ms", "batch1_p95_ms", "batch32_p50_ms", "batch32_p95_ms", "batch32_speedup", "threads", "onnxruntime", "cpu"}}
	f := func(x float64, digits int) string { return strconv.FormatFloat(x, 'f', digits, 64) }
	for _, m := range forms {
		one, many := m.Latency[0], m.Latency[1]
		train := "all"
		if r.Limit > 0 {
			train = strconv.Itoa(r.Limit)
		}
		rows = append(rows, []string{time.Now().UTC().Format(time.DateOnly), r.Model.Name, r.Data.Name, strconv.Itoa(r.Epochs), train,
			m.Form, strconv.FormatInt(m.Bytes, 10), strconv.Itoa(m.Images), f(m.Top1, 4), f(m.Top5, 4), f(m.Loss, 4), f(m.Agreement, 4),
			f(one.P50, 3), f(one.P95, 3), f(many.P50, 3), f(many.P95, 3), f(forms[0].Latency[1].P50/many.P50, 2),
			strconv.Itoa(threads), lib.Version, runtime.CPUName()})
		fmt.Printf("%-30s %8d bytes  top-1 %.4f  same class %.4f  batch 1 %.3f ms  batch 32 %.3f ms (%.2f×)\n",
			m.Form, m.Bytes, m.Top1, m.Agreement, one.P50, many.P50, forms[0].Latency[1].P50/many.P50)
	}
	if out == "" {
		return nil
	}
	return measure.WriteTable(out, rows)
}

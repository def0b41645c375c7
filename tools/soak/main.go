// Command soak trains for a long time and watches what the process holds:
// memory, open files, goroutines and threads.
//
//	go run ./tools/soak                 30 minutes, rows to testdata/results/soak_memory.csv
//	go run ./tools/soak -minutes 2 -out /tmp/soak.csv
//
// The run is one that uses much of what there is: images augmented and mixed, a
// teacher, a moving average of the weights, an evaluation after every short
// epoch and a checkpoint every ten seconds. It is also closed and resumed in the
// same process every few minutes. At the end the first and the last quarter of
// the samples after the warm-up are compared; a process that grows by more than
// 5 % of its memory, or holds more files or goroutines, is a failure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/tricks/recipe"
)

func main() {
	minutes := flag.Float64("minutes", 30, "how long to train")
	out := flag.String("out", filepath.Join("testdata", "results", "soak_memory.csv"), "CSV file")
	every := flag.Duration("every", 10*time.Second, "time between two samples")
	session := flag.Duration("session", 3*time.Minute, "time after which the run is closed and resumed")
	threads := flag.Int("threads", 1, "threads of the model")
	flag.Parse()
	if err := soak(time.Duration(*minutes*float64(time.Minute)), *session, *every, *threads, *out); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// soak trains for a time and judges what it has seen.
func soak(length, session, every time.Duration, threads int, out string) error {
	dir, err := os.MkdirTemp("", "ortrain-soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	teacher, err := makeTeacher(dir, threads)
	if err != nil {
		return err
	}
	w := &watch{begun: time.Now(), every: every}
	for time.Since(w.begun) < length {
		ctx, cancel := context.WithTimeout(context.Background(), min(session, length-time.Since(w.begun)))
		_, err := job.Train(ctx, job.Config{Recipe: longRun(teacher, threads), Out: filepath.Join(dir, "run"), ResumeAuto: true, Reporter: w})
		cancel()
		if err == nil {
			return errors.New("the run ended before the time was over")
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		w.sessions++
	}
	if err := w.write(out); err != nil {
		return err
	}
	text, err := w.verdict()
	fmt.Println(text)
	return err
}

// set makes a recipe by assignments.
func set(assignments ...string) *recipe.Recipe {
	r := recipe.Default()
	for _, a := range assignments {
		if err := r.Set(a); err != nil {
			panic(err) // they are written below
		}
	}
	return r
}

// makeTeacher trains the network that teaches.
func makeTeacher(dir string, threads int) (string, error) {
	out := filepath.Join(dir, "teacher")
	_, err := job.Train(context.Background(), job.Config{Out: out, Recipe: set("data.name=mnist", "model.name=resnet8",
		"epochs=1", "limit=640", "batch=64", fmt.Sprintf("threads=%d", threads))})
	return filepath.Join(out, job.ModelFile), err
}

func longRun(teacher string, threads int) *recipe.Recipe {
	return set("data.name=mnist", "data.validation=512", "model.name=resnet8", "model.options.dropout=0.1", "epochs=1000000", "limit=4096", "batch=64",
		fmt.Sprintf("threads=%d", threads), "data.workers=2", "schedule.name=constant", "schedule.lr=0.01",
		"augment=[crop, rotation, cutout]", "mix=[mixup]", "average=ema", "target.label_smoothing.epsilon=0.1",
		fmt.Sprintf("teacher.models=[{file: %q}]", teacher), "checkpoint.minutes=0.1667", "checkpoint.every=1000", "checkpoint.keep=3", "checkpoint.keep_best=true")
}

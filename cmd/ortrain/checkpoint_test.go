package main

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestChosenCheckpoint: eval, export and verify take the best checkpoint or any
// other that was kept, and it scores what the history says of its epoch.
func TestChosenCheckpoint(t *testing.T) {
	ortest.Open(t)
	data, dir := bars(t), filepath.Join(t.TempDir(), "run")
	must(t, trainArgs(data, dir, "--epochs", "5", "--lr", "0.3", "--set", "checkpoint.keep=5", "--set", "checkpoint.keep_best=true")...)
	rows := metrics(t, dir)
	if rows[0][6] != "test_accuracy" {
		t.Fatalf("the columns are %v", rows[0])
	}
	best, bestStep := -1.0, ""
	score := func(checkpoint string) float64 {
		var r job.EvalResult
		decode(t, must(t, "eval", "--run", dir, "--checkpoint", checkpoint, "--json").out, &r)
		return r.Top1
	}
	for _, row := range rows[1:] {
		step, text := row[1], row[6]
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := score(step); got != want {
			t.Errorf("after step %s the accuracy is %v, in the history %v", step, got, want)
		}
		if want > best {
			best, bestStep = want, step
		}
	}
	if got := score("best"); got != best {
		t.Errorf("the best checkpoint has accuracy %v, the best epoch %v", got, best)
	}
	file := filepath.Join(dir, job.CheckpointsDir, "step-00000016.safetensors")
	if got, want := score(file), score("16"); got != want {
		t.Errorf("by its file a checkpoint has accuracy %v, by its number %v", got, want)
	}
	if o := must(t, "inspect", dir); !strings.Contains(o.out, bestStep+" (best)") {
		t.Errorf("inspect does not tell the best checkpoint, %s:\n%s", bestStep, o.out)
	}
	first := filepath.Join(t.TempDir(), "first.onnx")
	must(t, "export", "--run", dir, "--checkpoint", "16", "--out", first)
	must(t, "verify", first, "--checkpoint", "16")
	if o := ortrain(t, "verify", first); o.code != exitError {
		t.Errorf("the export of an old checkpoint passes for one of the newest: %s", o.out)
	}
}

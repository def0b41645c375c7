package job_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// The range test of a small network on real digits finds rates at which it
// learns, diverges at absurd ones, and leaves two files.
func TestFindLR(t *testing.T) {
	ortest.Open(t)
	out := filepath.Join(t.TempDir(), "lr")
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	r := mnist(t, "mix=[mixup]", "optimizer.momentum=0.9")
	steps := 0
	found, err := job.FindLR(context.Background(), job.LRFindConfig{
		Recipe: r, Min: 1e-4, Max: 1e4, Steps: 60, Out: out,
		Progress: func(p job.Sweep, total int) {
			if steps++; total != 60 || !(p.LR > 0) {
				t.Errorf("step %d: %+v of %d", steps, p, total)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !found.Diverged || len(found.Sweep) == 60 || steps != len(found.Sweep) {
		t.Errorf("%d steps, diverged: %v", len(found.Sweep), found.Diverged)
	}
	if !(found.Steepest > 1e-4 && found.Steepest < 2) {
		t.Errorf("steepest at %v", found.Steepest)
	}
	if ratio := found.Sweep[1].LR / found.Sweep[0].LR; math.Abs(ratio-math.Pow(1e8, 1./59)) > 1e-9 {
		t.Errorf("the rate grows by %v", ratio)
	}
	if s := found.Sweep[0]; math.Abs(s.Smooth-s.Loss) > 1e-9 {
		t.Error("the average is biased at its start")
	}
	files, err := os.ReadDir(out)
	if err != nil || len(files) != 2 {
		t.Errorf("left %v: %v", files, err)
	}
	if lines := strings.Count(string(read(t, out, job.LRFindTable)), "\n"); lines != len(found.Sweep)+1 {
		t.Errorf("%d lines of %d steps", lines, len(found.Sweep))
	}
	read(t, out, job.LRFindPicture)
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("left %s in the temporary folder", left[0].Name())
	}

	// The same test gives the same curve.
	again, err := job.FindLR(context.Background(), job.LRFindConfig{Recipe: r, Min: 1e-4, Max: 1e4, Steps: 60})
	if err != nil || len(again.Sweep) != len(found.Sweep) || again.Sweep[20] != found.Sweep[20] {
		t.Errorf("again: %v", err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	if _, err := job.FindLR(ctx, job.LRFindConfig{Recipe: r, Progress: func(job.Sweep, int) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFindLRErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := mnist(t)
	for _, tt := range []struct {
		c    job.LRFindConfig
		want string
	}{
		{job.LRFindConfig{}, "no recipe given"},
		{job.LRFindConfig{Recipe: r, Min: 1, Max: 0.1}, "a sweep from 1 to 0.1: both rates must be above 0, the second above the first"},
		{job.LRFindConfig{Recipe: r, Min: -1}, "a sweep from -1 to 10: both rates must be above 0, the second above the first"},
		{job.LRFindConfig{Recipe: r, Steps: 5}, "a sweep of 5 steps: give 20 to 1000000"},
		{job.LRFindConfig{Recipe: r, Out: file}, "output folder " + file + " is a file; give a folder"},
	} {
		if _, err := job.FindLR(context.Background(), tt.c); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

// TestFindLRWithATeacher: the loss that is swept has the teacher's term.
func TestFindLRWithATeacher(t *testing.T) {
	ortest.Open(t)
	data, teacher := digits(t), stranger(t, 1, 10)
	sweep := func(changes ...string) float64 {
		t.Helper()
		found, err := job.FindLR(context.Background(), job.LRFindConfig{Steps: 20, Max: 1e-5,
			Recipe: mnist(t, append([]string{"data.dir=" + data, "batch=16", "limit=160"}, changes...)...)})
		if err != nil {
			t.Fatal(err)
		}
		return found.Sweep[0].Loss
	}
	plain := sweep()
	if taught := sweep("teacher.models=["+teacher+"]", "teacher.temperature=1"); !(taught > plain+1) {
		t.Errorf("loss %v with a teacher, %v without", taught, plain)
	}
	if self := sweep("teacher.self=true", "average=ema"); self != plain {
		t.Errorf("loss %v with its own average, %v without", self, plain)
	}
}

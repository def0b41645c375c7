package job_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// overhearing keeps what a run says.
type overhearing struct {
	silentReporter
	notes []string
	first int // the epoch that it begins in
}

func (l *overhearing) Note(line string) { l.notes = append(l.notes, line) }
func (l *overhearing) Start(p job.Plan) { l.first = p.FirstEpoch }

// TestResumeAuto: one configuration begins a run, goes on with it, skips what is
// damaged, and ends with the bytes of a run that was left alone.
func TestResumeAuto(t *testing.T) {
	ortest.Open(t)
	data, whole := digits(t), t.TempDir()
	changes := []string{"data.dir=" + data, "limit=64", "epochs=3", "checkpoint.keep=3"}
	if _, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, changes...), Out: whole}); err != nil {
		t.Fatal(err)
	}
	begun := filepath.Join(t.TempDir(), "begun")
	if _, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, changes...), Out: begun, ResumeAuto: true, StopAfter: 2}); err != nil {
		t.Fatal(err)
	}
	newest := func(dir string) string { return filepath.Join(dir, job.CheckpointFile) }
	numbered := func(dir, step string) string {
		return filepath.Join(dir, job.CheckpointsDir, "step-0000000"+step+".safetensors")
	}
	damage := func(paths ...string) {
		for _, path := range paths {
			b := read(t, path)
			b[len(b)-5] ^= 4
			if err := os.WriteFile(path+".new", b, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil { // the other name stays whole
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name   string
		harm   func(dir string)
		first  int      // the epoch in which it goes on, after two were complete
		notes  []string // one each, in order
		recipe bool     // whether the recipe is given again
	}{
		{"whole", func(string) {}, 2, nil, true},
		{"no recipe given", func(string) {}, 2, nil, false},
		{"the newest is damaged", func(dir string) { damage(newest(dir)) }, 2, []string{"/checkpoint.safetensors: damaged checkpoint: its checksum"}, true},
		{"the newest is damaged in both places", func(dir string) { damage(newest(dir), numbered(dir, "4")) }, 1,
			[]string{"/checkpoint.safetensors: damaged", "/step-00000004.safetensors: damaged"}, false},
		{"the newest is damaged under one of two names", func(dir string) { damage(numbered(dir, "4")) }, 2, nil, true},
		{"cut off", func(dir string) {
			if err := os.Truncate(newest(dir), 777); err != nil {
				t.Fatal(err)
			}
		}, 1, []string{"/step-00000004.safetensors: damaged checkpoint"}, true},
		{"killed between writing and naming", func(dir string) {
			relink(t, numbered(dir, "2"), newest(dir))
		}, 2, nil, true},
		{"nothing whole", func(dir string) {
			damage(newest(dir), numbered(dir, "4"))
			os.WriteFile(numbered(dir, "2"), []byte("checkpoint"), 0o644)
		}, 0, []string{"checkpoint.safetensors: damaged", "4.safetensors: damaged", "2.safetensors: not a checkpoint", "the run begins anew"}, true},
		{"killed before the first checkpoint", func(dir string) {
			os.Remove(newest(dir))
			os.RemoveAll(filepath.Join(dir, job.CheckpointsDir))
		}, 0, []string{"there is no checkpoint to resume from in "}, false},
		{"no run", func(dir string) { os.RemoveAll(dir) }, 0, []string{"the run begins anew"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			if err := os.CopyFS(dir, os.DirFS(begun)); err != nil {
				t.Fatal(err)
			}
			relink(t, numbered(dir, "4"), newest(dir))
			c.harm(dir)
			l := &overhearing{}
			cfg := job.Config{Out: dir, ResumeAuto: true, Reporter: l}
			if c.recipe {
				cfg.Recipe = mnist(t, changes...)
			}
			if _, err := job.Train(context.Background(), cfg); err != nil {
				t.Fatal(err)
			}
			if l.first != c.first {
				t.Errorf("it goes on in epoch %d, not %d", l.first, c.first)
			}
			if len(l.notes) != len(c.notes) {
				t.Errorf("it says %q, of which %q are expected", l.notes, c.notes)
			} else {
				for i, want := range c.notes {
					if !strings.Contains(l.notes[i], want) || strings.Contains(l.notes[i], "\n") {
						t.Errorf("it says %q, not %q", l.notes[i], want)
					}
				}
			}
			for _, name := range []string{job.CheckpointFile, job.ModelFile} {
				if !bytes.Equal(read(t, whole, name), read(t, dir, name)) {
					t.Errorf("%s differs from that of the run that was left alone", name)
				}
			}
		})
	}
}

// relink makes path a second name of old.
func relink(t *testing.T, old, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(old, path); err != nil {
		t.Fatal(err)
	}
}

// TestResumeAutoRefuses another recipe, with a checkpoint and without.
func TestResumeAutoRefuses(t *testing.T) {
	ortest.Open(t)
	dir := t.TempDir()
	changes := []string{"data.dir=" + digits(t), "limit=64", "epochs=1"}
	if _, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, changes...), Out: dir}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, append(changes, "schedule.lr=0.3")...), Out: dir, ResumeAuto: true})
		if err == nil || !strings.Contains(err.Error(), "recipe differs") || !strings.Contains(err.Error(), "schedule.lr: 0.1, now 0.3") || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v", err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
			t.Errorf("it left %v", left)
		}
		os.Remove(filepath.Join(dir, job.CheckpointFile))
		os.RemoveAll(filepath.Join(dir, job.CheckpointsDir))
	}
}

// TestResumeAutoGenerations: a chain of generations goes on by itself too.
func TestResumeAutoGenerations(t *testing.T) {
	ortest.Open(t)
	data, whole, cut := digits(t), filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "cut")
	changes := []string{"data.dir=" + data, "limit=64", "epochs=1", "teacher.generations=2", "teacher.temperature=1"}
	if _, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, changes...), Out: whole}); err != nil {
		t.Fatal(err)
	}
	for _, steps := range []int{1, 3} { // the second is in the second generation
		ctx, cancel := context.WithCancel(context.Background())
		_, err := job.Train(ctx, job.Config{Recipe: mnist(t, changes...), Out: cut, ResumeAuto: true, Reporter: &stopper{steps, cancel}})
		cancel()
		if err == nil {
			t.Fatalf("it was not stopped after %d steps", steps)
		}
	}
	if _, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, changes...), Out: cut, ResumeAuto: true}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{job.ModelFile, job.GenerationsFile} {
		if !bytes.Equal(read(t, whole, name), read(t, cut, name)) {
			t.Errorf("%s differs from that of the chain that was left alone", name)
		}
	}
}

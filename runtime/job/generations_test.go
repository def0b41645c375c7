package job_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// TestGenerations: a chain of two, whole and stopped within each generation,
// ends with the same bytes; the second learns from the first, and is the one
// that is evaluated and exported.
func TestGenerations(t *testing.T) {
	ortest.Open(t)
	ctx := context.Background()
	changes := []string{"data.dir=" + digits(t), "batch=16", "limit=96", "seed=5", "teacher.generations=2", "teacher.temperature=1"}
	whole, cut := t.TempDir(), t.TempDir()
	res, err := job.Train(ctx, job.Config{Recipe: mnist(t, changes...), Out: whole})
	if err != nil {
		t.Fatal(err)
	}
	if !res.Done || res.Out != whole {
		t.Errorf("%+v", res)
	}
	for i, steps := range []int{3, 12} { // in the first generation, and in the second
		cancelled, cancel := context.WithCancel(ctx)
		c := job.Config{Out: cut, Resume: i > 0, Reporter: &stopper{steps, cancel}}
		if i == 0 {
			c.Recipe = mnist(t, changes...)
		}
		if _, err := job.Train(cancelled, c); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled after %d steps: %v", steps, err)
		}
		cancel()
	}
	if _, err := job.Train(ctx, job.Config{Out: cut, Resume: true, Recipe: mnist(t, append(changes, "schedule.lr=1")...)}); err == nil || !strings.Contains(err.Error(), "recipe differs") {
		t.Errorf("another recipe: %v", err)
	}
	if _, err := job.Train(ctx, job.Config{Out: cut, Resume: true}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{job.ModelFile, job.GenerationsFile, "generation-1/" + job.CheckpointFile, "generation-2/" + job.CheckpointFile} {
		if !bytes.Equal(read(t, whole, name), read(t, cut, name)) {
			t.Errorf("%s differs after resumes", name)
		}
	}
	if !bytes.Equal(read(t, whole, job.ModelFile), read(t, whole, "generation-2", job.ModelFile)) {
		t.Error("the chain's model is not the last generation's")
	}
	first, err := recipe.Load(filepath.Join(whole, "generation-1", job.RecipeFile))
	if err != nil {
		t.Fatal(err)
	}
	second, err := recipe.Load(filepath.Join(whole, "generation-2", job.RecipeFile))
	if err != nil {
		t.Fatal(err)
	}
	if first.Distils() || first.Seed != 5 || !second.Distils() || second.Seed != 6 || second.Teacher.Models[0].File != filepath.Join(whole, "generation-1", job.ModelFile) {
		t.Errorf("first %+v, second %+v", first.Teacher, second.Teacher)
	}
	score, err := job.Evaluate(ctx, job.EvalConfig{Run: whole})
	if err != nil || score.Top1 != res.Last.Top1 || score.Loss != res.Last.TestLoss {
		t.Errorf("evaluated %+v, %v; trained to %v", score, err, res.Last.Top1)
	}
	if again, err := job.Train(ctx, job.Config{Out: whole, Resume: true}); err != nil || !again.Done || again.Last.Top1 != res.Last.Top1 {
		t.Errorf("resuming a finished chain: %+v, %v", again, err)
	}
	if _, err := job.Train(ctx, job.Config{Out: whole, Recipe: mnist(t, changes...)}); err == nil || !strings.Contains(err.Error(), "holds a run already") {
		t.Errorf("an occupied folder: %v", err)
	}
}

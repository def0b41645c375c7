package runtime_test

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestCheckpointOfOtherProvider: what a set lowered for one provider has
// learned goes on in a set lowered for the other, and back. The CPU runs both.
func TestCheckpointOfOtherProvider(t *testing.T) {
	ortest.Open(t)
	spec := artifact.Spec{Model: "resnet8", Config: models.Config{Classes: 10, Input: [3]int{3, 12, 12}}, Optimizer: "adam", Batch: 8, Seed: 3}
	trainers := map[string]*runtime.Trainer{}
	for _, provider := range []string{lower.CPU, lower.CUDA} {
		s := spec
		s.Lowering.Provider = provider
		if provider == lower.CPU {
			s.Lowering.Block = runtime.ChannelBlock()
		}
		trainers[provider] = ortest.Trainer(t, s, runtime.Options{Threads: 1})
	}
	images, targets := make([]float32, 8*3*12*12), make([]float32, 8*10)
	for i := range images {
		images[i] = float32(math.Sin(float64(i * i % 97)))
	}
	for i := range 8 {
		targets[i*10+i] = 1
	}
	step := func(provider string) float32 {
		tr := trainers[provider]
		hyper, err := tr.Hyper(map[string]float32{"lr": 1e-3})
		if err != nil {
			t.Fatal(err)
		}
		r, err := tr.Step(images, targets, hyper)
		if err != nil {
			t.Fatal(err)
		}
		return r.Loss
	}
	// hand saves the state of one trainer and loads it into the other.
	hand := func(from, to string) {
		path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
		m := trainers[from].Manifest()
		if err := runtime.WriteCheckpoint(path, m, &runtime.Checkpoint{State: trainers[from].State(), Step: trainers[from].Steps()}); err != nil {
			t.Fatal(err)
		}
		c, err := runtime.ReadCheckpoint(path, trainers[to].Manifest())
		if err != nil {
			t.Fatal(err)
		}
		if err := trainers[to].SetState(c.State); err != nil {
			t.Fatal(err)
		}
		trainers[to].SetSteps(c.Step)
	}
	first := step(lower.CUDA)
	step(lower.CUDA)
	hand(lower.CUDA, lower.CPU)
	if cuda, cpu := step(lower.CUDA), step(lower.CPU); math.Abs(float64(cuda-cpu)) > 1e-4 || cpu >= first {
		t.Errorf("from the same state the losses are %v and %v, after %v", cuda, cpu, first)
	}
	step(lower.CPU)
	hand(lower.CPU, lower.CUDA)
	if cuda, cpu := step(lower.CUDA), step(lower.CPU); math.Abs(float64(cuda-cpu)) > 1e-4 || trainers[lower.CUDA].Steps() != 5 {
		t.Errorf("back: %v and %v at step %d", cuda, cpu, trainers[lower.CUDA].Steps())
	}
}

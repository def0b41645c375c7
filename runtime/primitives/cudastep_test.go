package primitives

import (
	"math"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestCUDAStep: the step lowered for CUDA, run by the CPU provider, is the step
// lowered for the CPU. The velocities after a step are the gradients.
func TestCUDAStep(t *testing.T) {
	ortest.Open(t)
	for _, c := range []struct {
		model string
		side  int
		batch int
		// Of gradients: rounding passes through every layer, and decides the
		// sign of units. ResNet-50's are as far apart in the CPU's own layouts.
		tolerance float64
	}{{"resnet20", 32, 16, 1e-4}, {"wrn16_4", 16, 8, 1e-4}, {"resnet50", 64, 8, 0.08}} {
		t.Run(c.model, func(t *testing.T) {
			results := map[string]map[string]reference.Tensor{}
			var m *artifact.Manifest
			for _, provider := range []string{lower.CPU, lower.CUDA} {
				set, err := artifact.Build(artifact.Spec{
					Model: c.model, Config: models.Config{Classes: 10, Input: [3]int{3, c.side, c.side}},
					Optimizer: "sgd", Batch: c.batch, Seed: 5, Lowering: lower.Options{Provider: provider},
				})
				if err != nil {
					t.Fatal(err)
				}
				m = set.Manifest
				if m.Lowering != provider {
					t.Errorf("the manifest says %q", m.Lowering)
				}
				initial := m.InitialState()
				r := seeded(6)
				inputs := map[string]reference.Tensor{
					"images": r.normal(0, 1, c.batch, 3, c.side, c.side), "targets": reference.Zeros([]int{c.batch, 10}),
					"params": vector(initial.Params), m.Slots[0].Name: vector(initial.Slots[0]), "stats": vector(initial.Stats),
				}
				for i := range c.batch {
					inputs["targets"].Data[i*10+i%10] = 1
				}
				for _, h := range m.Hyper {
					inputs[h.Name] = reference.Scalar(float64(h.Default))
				}
				s := open(t, "step", set.Step)
				if results[provider], err = s.run(inputs); err != nil {
					t.Fatal(err)
				}
				s.Close()
			}
			for name, want := range results[lower.CPU] {
				d := apart(results[lower.CUDA][name], want)
				t.Logf("%s: %.2g", name, d)
				tolerance := 1e-3
				if len(want.Data) == m.ParamCount() {
					tolerance = c.tolerance
				}
				if d > tolerance {
					t.Errorf("%s is %.2g away from the CPU's, relative to its norm", name, d)
				}
			}
		})
	}
}

// apart is the norm of a difference as a share of the norm: one unit of a
// network whose sign rounding decides moves single elements further.
func apart(got, want reference.Tensor) float64 {
	diff, norm := 0.0, 0.0
	for i, w := range want.Data {
		d := got.Data[i] - w
		diff, norm = diff+d*d, norm+w*w
	}
	return math.Sqrt(diff / max(norm, math.SmallestNonzeroFloat64))
}

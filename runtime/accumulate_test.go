package runtime_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestParts: a batch of 12 in 2, 3, 4 or 6 parts. The gradient of a step in
// parts is the mean of the parts' own gradients, each norm seeing its part;
// where every part holds the same images it is the gradient of the whole batch
// as well, whatever the number of parts.
func TestParts(t *testing.T) {
	ortest.Open(t)
	trainer := func(batch int, accumulate bool) *runtime.Trainer {
		tr := ortest.Trainer(t, artifact.Spec{
			Model: "resnet8", Config: models.Config{Classes: 10, Input: [3]int{3, 8, 8}},
			Optimizer: "sgd", Batch: batch, Accumulate: accumulate, Seed: 3,
			Lowering: lower.Options{Block: runtime.ChannelBlock()},
		}, runtime.Options{Threads: 1})
		return tr
	}
	// With zero momentum and decay, the momentum buffer is the gradient.
	gradient := func(tr *runtime.Trainer, images, targets []float32, parts int) []float32 {
		hyper, err := tr.Hyper(map[string]float32{"lr": 0.1, "momentum": 0, "weight_decay": 0})
		if err != nil {
			t.Fatal(err)
		}
		before := tr.State()
		n, k := len(images)/parts, len(targets)/parts
		for i := range parts {
			if tr.View().Params[0] != before.Params[0] {
				t.Error("the parameters moved before the last part")
			}
			if _, err := tr.StepPart(images[i*n:(i+1)*n], targets[i*k:(i+1)*k], hyper, i, parts); err != nil {
				t.Fatal(err)
			}
		}
		if tr.Steps() != 1 {
			t.Errorf("%d steps counted", tr.Steps())
		}
		return tr.State().Slots[0]
	}
	distance := func(a, b []float32) float64 {
		top, worst := 0., 0.
		for i := range a {
			top = max(top, math.Abs(float64(b[i])))
			worst = max(worst, math.Abs(float64(a[i]-b[i])))
		}
		return worst / top
	}
	const batch, pixels, classes = 12, 3 * 8 * 8, 10
	rng := rand.New(rand.NewPCG(1, 1))
	for _, parts := range []int{2, 3, 4, 6} {
		part := batch / parts
		images, targets := make([]float32, batch*pixels), make([]float32, batch*classes)
		for i := range part * pixels {
			images[i] = float32(rng.NormFloat64())
		}
		for i := range part {
			targets[i*classes+rng.IntN(classes)] = 1
		}
		for i := 1; i < parts; i++ {
			copy(images[i*part*pixels:], images[:part*pixels])
			copy(targets[i*part*classes:], targets[:part*classes])
		}
		whole := gradient(trainer(batch, false), images, targets, 1)
		if d := distance(gradient(trainer(part, true), images, targets, parts), whole); d > 1e-5 {
			t.Errorf("%d equal parts: gradient is %.2g from the whole batch's", parts, d)
		}
		// Parts that differ: the mean of their own gradients.
		for i := range images {
			images[i] = float32(rng.NormFloat64())
		}
		mean := make([]float32, len(whole))
		for i := range parts {
			g := gradient(trainer(part, false), images[i*part*pixels:(i+1)*part*pixels], targets[i*part*classes:(i+1)*part*classes], 1)
			for j, v := range g {
				mean[j] += v / float32(parts)
			}
		}
		if d := distance(gradient(trainer(part, true), images, targets, parts), mean); d > 1e-5 {
			t.Errorf("%d different parts: gradient is %.2g from their mean", parts, d)
		}
	}
	if _, err := trainer(4, false).StepPart(nil, nil, nil, 0, 2); err == nil {
		t.Error("a set that does not accumulate took a part")
	}
}

package precision

import (
	"math"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tools/parity/golden"
)

const scale = 1024

// TestStep: losses, logits and gradients of a step in mixed precision are no
// further from the true ones than PyTorch's under autocast with float16.
func TestStep(t *testing.T) {
	ortest.Open(t)
	for prefix, options := range map[string]map[string]string{
		"b.": {"shortcut": "B"}, "preact_b.": {"shortcut": "B", "preact": "true"},
	} {
		t.Run(prefix, func(t *testing.T) {
			g, err := golden.Open("../../../testdata/golden/mixed_precision.safetensors", prefix)
			if err != nil {
				t.Fatal(err)
			}
			n, err := g.Number("batch")
			if err != nil {
				t.Fatal(err)
			}
			salt, err := g.Number("salt")
			if err != nil {
				t.Fatal(err)
			}
			tr := trainer(t, options, n)
			hyper, err := tr.Hyper(map[string]float32{"lr": 0, "momentum": 0, "weight_decay": 0})
			if err != nil {
				t.Fatal(err)
			}
			images, targets := golden.Batch(salt, 0, n, golden.Size)
			r, err := tr.Step(images, targets, hyper)
			if err != nil || r.Skipped {
				t.Fatal(r.Skipped, err)
			}
			read := func(kind, name string) []float64 {
				v, err := g.Values(kind + "." + name)
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			exact, torch := read("float64", "loss")[0], read("half", "loss")[0]
			t.Logf("loss %.6f, PyTorch's %.6f, true %.6f", r.Loss, torch, exact)
			if d := math.Abs(float64(r.Loss)/exact - 1); d > 1e-3 {
				t.Errorf("the loss is %.2g off", d)
			}
			if d := apart(r.Logits, read("float64", "logits")); d > 3e-3 {
				t.Errorf("the logits are %.2g off", d)
			}
			// After a step without momentum the velocity is the gradient.
			all := tr.View().Slots[0]
			var ours, half, truth []float64
			for _, p := range tr.Manifest().Parameters {
				got, want, theirs := all[p.Offset:p.Offset+p.Size], read("float64", "grad."+p.Name), read("half", "grad."+p.Name)
				mine, limit := apart(got, want), apart(theirs, want)
				if mine > 2*limit+0.01 || mine > 0.15 {
					t.Errorf("the gradient of %s is %.2g off, PyTorch's %.2g", p.Name, mine, limit)
				}
				for i, x := range got {
					ours, half, truth = append(ours, float64(x)), append(half, theirs[i]), append(truth, want[i])
				}
			}
			mine, theirs, between := apart(ours, truth), apart(half, truth), apart(ours, half)
			t.Logf("all gradients: %.2g off, PyTorch's %.2g, %.2g between the two", mine, theirs, between)
			if mine > 1.5*theirs || between > mine+theirs {
				t.Error("that is too much")
			}
			if mine < theirs/10 {
				t.Error("that is too little for float16: does the step compute in it?")
			}
		})
	}
}

func trainer(t *testing.T, options map[string]string, batch int) *runtime.Trainer {
	t.Helper()
	tr := ortest.Trainer(t, artifact.Spec{
		Model: "resnet8", Batch: batch, Optimizer: "sgd", Precision: &artifact.Mixed{LossScale: scale},
		Config: models.Config{Classes: golden.Classes, Input: [3]int{3, golden.Size, golden.Size}, Options: options},
	}, runtime.Options{Threads: 2})
	if err := golden.Start(tr); err != nil {
		t.Fatal(err)
	}
	return tr
}

// apart is the Euclidean distance relative to the length of want.
func apart[T float32 | float64](got []T, want []float64) float64 {
	var diff, size float64
	for i, w := range want {
		d := float64(got[i]) - w
		diff, size = diff+d*d, size+w*w
	}
	return math.Sqrt(diff / size)
}

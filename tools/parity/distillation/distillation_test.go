package distillation

import (
	"encoding/json"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tools/parity/golden"
)

// tolerance is relative to a tensor's largest element.
const tolerance = 1e-4

// teacher returns the teacher's logits of the golden, n×golden.Classes.
func teacher(n int) []float32 {
	r := make([]float32, n*golden.Classes)
	for i := range r {
		r[i] = float32(golden.NewStream("teacher.0").Draw(i) * 6)
	}
	return r
}

// TestGradients: one step of SGD without momentum leaves the gradient in the
// momentum's slot; it is PyTorch's, for every form of the loss.
func TestGradients(t *testing.T) {
	ortest.Open(t)
	g, err := golden.Open("../../../testdata/golden/distillation.safetensors", "")
	if err != nil {
		t.Fatal(err)
	}
	batch, err := g.Number("batch")
	if err != nil {
		t.Fatal(err)
	}
	salt, err := g.Number("salt")
	if err != nil {
		t.Fatal(err)
	}
	logits := teacher(batch)
	if got, want := golden.Digest(logits), g.Meta("sha256.teacher"); got != want {
		t.Fatalf("the teacher's logits have digest %s, want %s", got, want)
	}
	var names []string
	if err := json.Unmarshal([]byte(g.Meta("tensors")), &names); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"survey", "survey_cold", "weighted", "label_free", "bce"} {
		for layout, block := range map[string]int{"plain": 0, "blocked": runtime.ChannelBlock()} {
			t.Run(name+"/"+layout, func(t *testing.T) {
				var c struct {
					Soft, Loss string
					Feed       map[string]float32
				}
				if err := json.Unmarshal([]byte(g.Meta("case."+name)), &c); err != nil {
					t.Fatal(err)
				}
				tr := trainer(t, batch, c.Soft, c.Loss, block)
				feed := map[string]float32{"lr": 0.01, "momentum": 0, "weight_decay": 0}
				for key, v := range c.Feed {
					feed[key] = v
				}
				hyper, err := tr.Hyper(feed)
				if err != nil {
					t.Fatal(err)
				}
				images, targets := golden.Batch(salt, 0, batch, golden.Size)
				r, err := tr.StepInputs(runtime.Inputs{Images: images, Targets: targets, Teacher: logits}, hyper, 0, 1)
				if err != nil {
					t.Fatal(err)
				}
				golden.Within(t, "loss", []float32{r.Loss}, values(t, g, name+".loss"), tolerance)
				m, slot := tr.Manifest(), tr.View().Slots[0]
				at := map[string]artifact.TensorInfo{}
				for _, p := range m.Parameters {
					at[p.Name] = p
				}
				for _, tensor := range names {
					p, ok := at[tensor]
					if !ok {
						t.Fatalf("the network has no %s", tensor)
					}
					golden.Within(t, tensor, slot[p.Offset:p.Offset+p.Size], values(t, g, name+".grad."+tensor), tolerance)
				}
			})
		}
	}
}

// trainer makes a trainer of the golden's network in its initial state.
func trainer(t *testing.T, batch int, soft, loss string, block int) *runtime.Trainer {
	t.Helper()
	tr := ortest.Trainer(t, artifact.Spec{
		Model: "resnet8", Batch: batch, Optimizer: "sgd", Loss: loss, Distillation: soft,
		Config: models.Config{Classes: golden.Classes, Input: [3]int{3, golden.Size, golden.Size},
			Options: map[string]string{"shortcut": "B"}},
		Lowering: lower.Options{Block: block},
	}, runtime.Options{Threads: 2})
	if err := golden.Start(tr); err != nil {
		t.Fatal(err)
	}
	return tr
}

func values(t *testing.T, g *golden.Golden, name string) []float64 {
	t.Helper()
	v, err := g.Values(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Package networks_test compares one training step of the larger networks with
// PyTorch's.
package networks_test

import (
	"fmt"
	"math"
	"strings"
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

// classes, samples and projections are golden_networks.py's.
const (
	classes     = 10
	samples     = 32
	projections = 2
)

// initial is golden.Initial, but for the norms of bottlenecks: the third ends
// the branch and is small, the second is not.
func initial(bottleneck bool, p artifact.TensorInfo) []float32 {
	v := golden.Initial(p.Name, p.Shape)
	factor := float32(1)
	switch {
	case bottleneck && strings.HasSuffix(p.Name, "bn2.weight"):
		factor = 4
	case bottleneck && strings.HasSuffix(p.Name, "bn3.weight"):
		factor = 0.25
	}
	for i := range v {
		v[i] *= factor
	}
	return v
}

func TestStep(t *testing.T) {
	ortest.Open(t)
	layouts := map[string]int{"plain": 0}
	if b := runtime.ChannelBlock(); b > 0 {
		layouts["blocked"] = b
	}
	for _, n := range []struct {
		name, model string
		options     map[string]string
		large       bool
	}{
		{"wrn16_4", "wrn16_4", nil, false},
		{"resnet18_cifar", "resnet18", nil, true},
		{"resnet18", "resnet18", nil, true},
		{"resnet50", "resnet50", nil, true},
		{"resnet50_d", "resnet50", map[string]string{"variant": "D"}, true},
	} {
		for layout, block := range layouts {
			t.Run(n.name+"/"+layout, func(t *testing.T) {
				if n.large && testing.Short() {
					t.Skip("a large network")
				}
				compare(t, n.name, n.model, n.options, block)
			})
		}
	}
}

// compare takes one step without momentum's past and without decay, so that the
// momentum buffer is the gradient.
func compare(t *testing.T, name, model string, options map[string]string, block int) {
	g, err := golden.Open("../../../testdata/golden/networks.safetensors", name+".")
	if err != nil {
		t.Fatal(err)
	}
	number := func(key string) int {
		n, err := g.Number(key)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	values := func(key string) []float64 {
		v, err := g.Values(key)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	size, images := number("size"), number("batch")
	tr := ortest.Trainer(t, artifact.Spec{
		Model: model, Batch: images, Optimizer: "sgd",
		Config:   models.Config{Classes: classes, Input: [3]int{3, size, size}, Options: options},
		Lowering: lower.Options{Block: block},
	}, runtime.Options{Threads: 2})
	m, s := tr.Manifest(), tr.State()
	if have, want := m.ParamCount(), number("parameters"); have != want {
		t.Fatalf("%d parameters, PyTorch has %d", have, want)
	}
	bottleneck := model == "resnet50"
	for _, p := range m.Parameters {
		copy(s.Params[p.Offset:p.Offset+p.Size], initial(bottleneck, p))
	}
	for _, p := range m.Statistics {
		copy(s.Stats[p.Offset:p.Offset+p.Size], initial(bottleneck, p))
	}
	if err := tr.SetState(s); err != nil {
		t.Fatal(err)
	}
	hyper, err := tr.Hyper(map[string]float32{"lr": 0.01, "momentum": 0.9, "weight_decay": 0})
	if err != nil {
		t.Fatal(err)
	}
	x, targets := golden.Batch(number("salt"), 0, images, size)
	r, err := tr.Step(x, targets, hyper)
	if err != nil {
		t.Fatal(err)
	}
	worst, where := 0.0, ""
	within := func(what string, got, want []float64, largest float64) {
		for i, w := range want {
			e := math.Abs(got[i]-w) / largest
			if e > worst || math.IsNaN(e) {
				worst, where = e, what
			}
			if !(e <= tolerance) {
				t.Errorf("%s: element %d is off by %.2g of the largest", what, i, e)
				return
			}
		}
	}
	within("the loss", []float64{float64(r.Loss)}, values("loss"), values("loss")[0])
	logits := values("logits")
	within("the logits", widen(r.Logits), logits, largest(logits))
	s = tr.State()
	for _, p := range m.Parameters {
		grad := widen(s.Slots[0][p.Offset : p.Offset+p.Size])
		top := values("largest." + p.Name)[0]
		within("the largest gradient of "+p.Name, []float64{largest(grad)}, []float64{top}, top)
		pick, picked := golden.NewStream("sample."+p.Name), make([]float64, samples)
		for i := range picked {
			picked[i] = grad[pick.Word(i)%uint64(len(grad))]
		}
		within("the gradient of "+p.Name, picked, values("sample."+p.Name), top)
		dots := make([]float64, projections)
		for k := range dots {
			along := golden.NewStream(fmt.Sprintf("project.%d.%s", k, p.Name))
			for i, v := range grad {
				dots[k] += v * along.Draw(i)
			}
			dots[k] /= math.Sqrt(float64(len(grad)))
		}
		within("the projected gradient of "+p.Name, dots, values("project."+p.Name), top)
		if all, err := g.Values("grad." + p.Name); err == nil {
			within("the gradient of "+p.Name, grad, all, top)
		}
	}
	for _, p := range m.Statistics {
		if want, err := g.Values("stats." + p.Name); err == nil {
			within(p.Name, widen(s.Stats[p.Offset:p.Offset+p.Size]), want, largest(want))
		}
	}
	t.Logf("worst: %s, off by %.1e", where, worst)
}

func widen(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

func largest(v []float64) float64 {
	m := 0.0
	for _, x := range v {
		m = max(m, math.Abs(x))
	}
	return m
}

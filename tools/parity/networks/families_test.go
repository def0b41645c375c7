package networks_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tools/parity/golden"
)

// familySamples is golden_families.py's SAMPLES.
const familySamples = 8

// noGradient is the share of the network's largest gradient below which a
// tensor's is none: what moves a channel that the next norm moves back.
const noGradient = 1e-6

// TestFamilies takes the steps of golden_families.py, with its random draws.
func TestFamilies(t *testing.T) {
	ortest.Open(t)
	for _, n := range []struct {
		name, model string
		options     map[string]string
		large       bool
	}{
		{"shake26_2x32d", "shake26_2x32d", nil, true},
		{"pyramidnet20_a24", "pyramidnet20_a24", map[string]string{"shakedrop": "0.5"}, false},
		{"pyramidnet29_a24", "pyramidnet29_a24", nil, false},
		{"amoebanet_b_1_16", "amoebanet_b_1_16", map[string]string{"drop_path": "0.2"}, false},
		{"resnext50_32x4d", "resnext50_32x4d", nil, true},
		{"resnet50_a", "resnet50", map[string]string{"variant": "A"}, true},
		{"resnet18_c", "resnet18", map[string]string{"stem": "imagenet", "variant": "C"}, true},
		{"resnet18_se", "resnet18", map[string]string{"se": "true"}, true},
		{"resnet18_preact", "resnet18", map[string]string{"preact": "true"}, true},
		{"resnet8_drops", "resnet8", map[string]string{"dropout": "0.3", "stochastic_depth": "0.5"}, false},
	} {
		t.Run(n.name, func(t *testing.T) {
			if n.large && testing.Short() {
				t.Skip("a large network")
			}
			compareFamily(t, n.name, n.model, n.options)
		})
	}
}

// family is one network's golden.
type family struct {
	*testing.T
	g         *golden.Golden
	tolerance float64
	worst     float64
	where     string
}

func (f *family) number(key string) int {
	n, err := f.g.Number(key)
	if err != nil {
		f.Fatal(err)
	}
	return n
}

func (f *family) values(key string) []float64 {
	v, err := f.g.Values(key)
	if err != nil {
		f.Fatal(err)
	}
	return v
}

// within compares numbers, relative to largest.
func (f *family) within(what string, got, want []float64, largest float64) {
	for i, w := range want {
		e := math.Abs(got[i]-w) / largest
		if e > f.worst || math.IsNaN(e) {
			f.worst, f.where = e, what
		}
		if !(e <= f.tolerance) {
			f.Errorf("%s: element %d is %g, want %g, off by %.2g of the largest", what, i, got[i], w, e)
			return
		}
	}
}

// rows cuts a matrix into its rows of n.
func rows(v []float64, n int) [][]float64 {
	var out [][]float64
	for ; len(v) >= n; v = v[n:] {
		out = append(out, v[:n])
	}
	return out
}

func picked(name string, v []float64) []float64 {
	pick, out := golden.NewStream("sample."+name), make([]float64, familySamples)
	for i := range out {
		out[i] = v[pick.Word(i)%uint64(len(v))]
	}
	return out
}

// step is a step graph whose inputs the test feeds itself.
type step struct {
	m *artifact.Manifest
	s *runtime.Session
}

// openStep builds a step for SGD.
func openStep(t *testing.T, model string, options map[string]string, size, images int) *step {
	t.Helper()
	set, err := artifact.Build(artifact.Spec{
		Model: model, Batch: images, Optimizer: "sgd",
		Config:   models.Config{Classes: classes, Input: [3]int{3, size, size}, Options: options},
		Lowering: lower.Options{Block: runtime.ChannelBlock()},
	})
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Marshal(set.Step)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.NewSessionFromBytes(model, data, runtime.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &step{m: set.Manifest, s: s}
}

// run feeds all inputs and returns all outputs by name.
func (s *step) run(t *testing.T, in map[string][]float32) map[string][]float32 {
	t.Helper()
	open := func(ports []runtime.Port, data func(p runtime.Port, size int) []float32) map[string]*runtime.Tensor {
		out := map[string]*runtime.Tensor{}
		for _, p := range ports {
			size := 1
			for _, d := range p.Shape {
				size *= int(d)
			}
			v := data(p, size)
			if len(v) != size {
				t.Fatalf("%s has %d elements, want %d", p.Name, len(v), size)
			}
			var x *runtime.Tensor
			var err error
			if len(p.Shape) == 0 {
				x, err = runtime.NewScalar(v[0])
			} else {
				x, err = runtime.WrapTensor(v, p.Shape...)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(x.Close)
			out[p.Name] = x
		}
		return out
	}
	inputs := open(s.s.Inputs(), func(p runtime.Port, _ int) []float32 { return in[p.Name] })
	outputs := open(s.s.Outputs(), func(_ runtime.Port, size int) []float32 { return make([]float32, size) })
	if err := s.s.Run(inputs, outputs); err != nil {
		t.Fatal(err)
	}
	got := map[string][]float32{}
	for name, x := range outputs {
		if len(x.Shape()) == 0 {
			got[name] = []float32{x.Scalar()}
			continue
		}
		got[name] = x.Floats()
	}
	return got
}

// noise draws what the golden draws in a step.
func noise(m *artifact.Manifest, step int) []float32 {
	out := make([]float32, m.NoiseCount())
	for _, r := range m.Random {
		word := golden.NewStream(fmt.Sprintf("noise.%d.%s", step, r.Name))
		for i := range r.Size {
			u := (word.Draw(i) + 1) / 2
			switch {
			case r.Keep == 0:
				out[r.Offset+i] = float32(u)
			case u < r.Keep:
				out[r.Offset+i] = float32(1 / r.Keep)
			}
		}
	}
	return out
}

func compareFamily(t *testing.T, name, model string, options map[string]string) {
	g, err := golden.Open("../../../testdata/golden/families.safetensors", name+".")
	if err != nil {
		t.Fatal(err)
	}
	f := &family{T: t, g: g, tolerance: tolerance}
	size, images := f.number("size"), f.number("batch")
	s := openStep(t, model, options, size, images)
	in := f.inputs(s.m)
	start := append([]float32(nil), in[artifact.Params]...)
	parameters, statistics := byName(s.m.Parameters), byName(s.m.Statistics)
	losses := f.values("losses")
	for k, want := range losses {
		f.feed(in, s.m, k)
		out := s.run(t, in)
		f.within(fmt.Sprintf("the loss of step %d", k), widen(out[artifact.Loss]), []float64{want}, want)
		if k == 0 {
			f.first(s.m, start, widen(out[artifact.Logits]), widen(out[s.m.Slots[0].Name+artifact.OutSuffix]))
		}
		for _, name := range []string{artifact.Params, artifact.Stats, s.m.Slots[0].Name} {
			in[name] = out[name+artifact.OutSuffix]
		}
	}
	names := strings.Fields(g.Meta("names"))
	for i, want := range rows(f.values("moved"), familySamples) {
		p := parameters[names[i]]
		moved := make([]float64, p.Size)
		for j := range moved {
			moved[j] = float64(in[artifact.Params][p.Offset+j]) - float64(start[p.Offset+j])
		}
		// Relative to the parameter: it is what the next step reads.
		f.within("what the steps moved "+names[i]+" by", picked(names[i], moved), want, max(largest(want), 0.01))
	}
	stats := rows(f.values("stats"), familySamples)
	for i, n := range strings.Fields(g.Meta("statnames")) {
		p := statistics[n]
		f.within(n, picked(n, widen(in[artifact.Stats][p.Offset:p.Offset+p.Size])), stats[i], max(largest(stats[i]), 0.1))
	}
	t.Logf("%d steps, worst: %s, off by %.1e", len(losses), f.where, f.worst)
}

// inputs are the inputs of a step that do not change with its number, and the
// state before the first.
func (f *family) inputs(m *artifact.Manifest) map[string][]float32 {
	if have, want := m.ParamCount(), f.number("parameters"); have != want {
		f.Fatalf("%d parameters, PyTorch has %d", have, want)
	}
	bottleneck := byName(m.Parameters)["layer1.0.conv3.weight"].Size > 0
	in := map[string][]float32{
		artifact.Params: make([]float32, m.ParamCount()), artifact.Stats: make([]float32, m.StatCount()),
		m.Slots[0].Name: make([]float32, m.ParamCount()),
	}
	for _, h := range m.Hyper {
		in[h.Name] = []float32{map[string]float32{"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4}[h.Name]}
	}
	for key, tensors := range map[string][]artifact.TensorInfo{artifact.Params: m.Parameters, artifact.Stats: m.Statistics} {
		for _, p := range tensors {
			copy(in[key][p.Offset:p.Offset+p.Size], initial(bottleneck, p))
		}
	}
	return in
}

// feed sets what step k trains on.
func (f *family) feed(in map[string][]float32, m *artifact.Manifest, k int) {
	in[artifact.Images], in[artifact.Targets] = golden.Batch(f.number("salt"), k, f.number("batch"), f.number("size"))
	if m.NoiseCount() > 0 {
		in[artifact.Noise] = noise(m, k)
	}
}

// first compares the logits and gradients of the first step from the parameters
// start; slot is the momentum after it.
func (f *family) first(m *artifact.Manifest, start []float32, have, slot []float64) {
	logits := f.values("logits")
	f.within("the logits", have, logits, largest(logits))
	parameters, largestOf := byName(m.Parameters), f.values("largest")
	samples, projected := rows(f.values("sample"), familySamples), rows(f.values("project"), projections)
	top := largest(largestOf)
	for i, n := range strings.Fields(f.g.Meta("names")) {
		p := parameters[n]
		// The momentum's first value is the gradient and the decay.
		grad := append([]float64(nil), slot[p.Offset:p.Offset+p.Size]...)
		for j := range grad {
			grad[j] -= float64(float32(1e-4)) * float64(start[p.Offset+j])
		}
		scale := largestOf[i]
		if scale < noGradient*top {
			scale = 0.01 * top
		}
		f.within("the largest gradient of "+n, []float64{largest(grad)}, largestOf[i:i+1], scale)
		f.within("the gradient of "+n, picked(n, grad), samples[i], scale)
		dots := make([]float64, projections)
		for d := range dots {
			along := golden.NewStream(fmt.Sprintf("project.%d.%s", d, n))
			for j, v := range grad {
				dots[d] += v * along.Draw(j)
			}
			dots[d] /= math.Sqrt(float64(len(grad)))
		}
		f.within("the projected gradient of "+n, dots, projected[i], scale)
	}
}

func byName(ts []artifact.TensorInfo) map[string]artifact.TensorInfo {
	m := map[string]artifact.TensorInfo{}
	for _, t := range ts {
		m[t.Name] = t
	}
	return m
}

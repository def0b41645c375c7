package calibrate_test

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/graphs/deploy"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/calibrate"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// largest is the number of parameters up to which a registered network is
// small enough for these tests.
const largest = 300_000

// network builds the inference model of a network whose batch norms hold
// statistics and scales of a trained network's kind, not their initial values,
// under which folding would change nothing.
func network(t testing.TB, name string) *onnx.ModelProto {
	t.Helper()
	m, _ := models.Lookup(name)
	size := max(32, m.MinInput)
	set, err := artifact.Build(artifact.Spec{Model: name, Config: models.Config{Classes: 10, Input: [3]int{3, size, size}},
		Optimizer: "sgd", Batch: 2, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	state := set.Manifest.InitialState()
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range set.Manifest.Parameters {
		if p.Kind != "" {
			for i := range p.Size {
				state.Params[p.Offset+i] += float32(0.3 * r.NormFloat64())
			}
		}
	}
	for i := range state.Stats {
		state.Stats[i] = float32(0.5 + r.Float64())
	}
	model, err := set.Manifest.InferModel(state.Params, state.Stats, nil)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// small lists the registered networks of few parameters.
func small(t testing.TB) []string {
	var names []string
	for _, name := range models.Names() {
		m, _ := models.Lookup(name)
		c, err := m.Resolve(models.Config{Classes: 10, Input: [3]int{3, max(32, m.MinInput), max(32, m.MinInput)}})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, p := range m.Layout(c, 1).Params {
			n += p.Shape.Size()
		}
		if n <= largest {
			names = append(names, name)
		}
	}
	return names
}

func noise(n, values int) []float32 {
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float32, n*values)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// run executes a model, checked by the independent reader, and returns its
// outputs.
func run(t testing.TB, m *onnx.ModelProto, input *runtime.Tensor) map[string][]float32 {
	t.Helper()
	return runAs(t, m, input, runtime.OptimizeAll)
}

// runAs is run at a level of optimization. At OptimizeNone a QDQ model computes
// in float32 between its roundings: what the file means, whatever the integer
// kernels of the processor do.
func runAs(t testing.TB, m *onnx.ModelProto, input *runtime.Tensor, level runtime.Optimization) map[string][]float32 {
	t.Helper()
	b, err := onnx.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := check.Bytes(b); err != nil {
		t.Fatal(err)
	}
	s, err := runtime.NewSessionFromBytes(t.Name(), b, runtime.Options{Threads: 1, Optimization: level})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	results, err := s.Results(map[string]*runtime.Tensor{s.Inputs()[0].Name: input})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	for name, r := range results {
		out[name] = append([]float32(nil), r.Floats()...)
		for _, v := range r.Ints() {
			out[name] = append(out[name], float32(v))
		}
		r.Close()
	}
	return out
}

func images(t testing.TB, m *onnx.ModelProto, n int) *runtime.Tensor {
	t.Helper()
	d := m.GetGraph().Input[0].GetType().GetTensorType().GetShape().GetDim()
	c, h, w := d[1].GetDimValue(), d[2].GetDimValue(), d[3].GetDimValue()
	return ortest.Tensor(t, noise(n, int(c*h*w)), int64(n), c, h, w)
}

// apart is the largest difference relative to the largest value.
func apart(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	worst, scale := 0.0, 1.0
	for i := range a {
		worst = math.Max(worst, math.Abs(float64(a[i])-float64(b[i])))
		scale = math.Max(scale, math.Abs(float64(a[i])))
	}
	return worst / scale
}

func norms(m *onnx.ModelProto) (n int) {
	for _, node := range m.GetGraph().Node {
		if node.GetOpType() == "BatchNormalization" {
			n++
		}
	}
	return n
}

// TestForms: every small registered network gives the same logits folded, and
// close ones in float16 and int8.
func TestForms(t *testing.T) {
	ortest.Open(t)
	for _, name := range small(t) {
		t.Run(name, func(t *testing.T) {
			m := network(t, name)
			x := images(t, m, 4)
			want := run(t, m, x)[artifact.Logits]

			folded, f, err := deploy.Fold(m)
			if err != nil {
				t.Fatal(err)
			}
			if f.Norms+f.Kept != norms(m) || f.Kept != norms(folded) {
				t.Errorf("%+v of %d norms, %d are left", f, norms(m), norms(folded))
			}
			if d := apart(want, run(t, folded, x)[artifact.Logits]); d > 1e-5 {
				t.Errorf("folded: logits move by %.2g", d)
			}
			for form, make := range map[string]func() (*onnx.ModelProto, error){
				"float16":         func() (*onnx.ModelProto, error) { return deploy.Float16(folded, false) },
				"float16 weights": func() (*onnx.ModelProto, error) { return deploy.HalfWeights(folded) },
				"int8": func() (*onnx.ModelProto, error) {
					names, err := deploy.Activations(folded, deploy.QuantiseOptions{})
					if err != nil {
						return nil, err
					}
					method, err := calibrate.ParseMethod("minmax")
					if err != nil {
						return nil, err
					}
					feed := func() iter.Seq2[[]float32, error] {
						return func(yield func([]float32, error) bool) { yield(x.Floats(), nil) }
					}
					r, err := calibrate.Ranges(folded, names, feed, method, runtime.Options{Threads: 1})
					if err != nil {
						return nil, err
					}
					q, done, err := deploy.Quantise(folded, r, deploy.QuantiseOptions{})
					if err == nil && done.Float != 0 {
						err = fmt.Errorf("%+v", done)
					}
					return q, err
				},
			} {
				small, err := make()
				if err != nil {
					t.Fatalf("%s: %v", form, err)
				}
				bound := map[string]float64{"float16": 0.01, "float16 weights": 0.01, "int8": 0.25}[form] // random weights and statistics are hard on 8 bits
				got := run(t, small, x)[artifact.Logits]
				d := apart(want, got)
				t.Logf("%s: logits move by %.2g", form, d)
				if d > bound || d == 0 {
					t.Errorf("%s: logits move by %.2g, allowed is %g", form, d, bound)
				}
				if form == "int8" {
					d := apart(runAs(t, small, x, runtime.OptimizeNone)[artifact.Logits], got)
					t.Logf("int8: the integer kernels move the file's logits by %.2g", d)
					if d > 0.05 {
						t.Errorf("int8: the integer kernels move the file's logits by %.2g, allowed is 0.05", d)
					}
				}
			}
		})
	}
}

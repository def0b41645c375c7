package primitives

import (
	"fmt"
	"testing"

	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// session runs one model; all its tensors are float32.
type session struct{ *runtime.Session }

// load lowers g and opens it. It closes with the test.
func load(t testing.TB, g *ir.Graph, o lower.Options) session {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("lowering %s panics: %v", g.Name, r)
		}
	}()
	m, err := lower.Lower(g, o)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := onnx.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := check.Bytes(encoded); err != nil {
		t.Error(err) // artifacts would be refused
	}
	if o.Provider == lower.CUDA {
		checkTidy(t, m)
		if ortest.Provider() == lower.CPU {
			asDevice(m)
		}
	}
	return open(t, g.Name, m)
}

// open opens a model. It closes with the test.
func open(t testing.TB, name string, m *onnx.ModelProto) session {
	t.Helper()
	ortest.Open(t)
	checkTidy(t, m)
	data, err := onnx.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.NewSessionFromBytes(name, data, ortest.Options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return session{s}
}

// run feeds the inputs, rounded to float32, and returns the outputs by name. A
// dimension that the model leaves open is taken from the input "images".
func (s session) run(inputs map[string]reference.Tensor) (map[string]reference.Tensor, error) {
	in, out := map[string]*runtime.Tensor{}, map[string]*runtime.Tensor{}
	defer func() {
		for _, m := range []map[string]*runtime.Tensor{in, out} {
			for _, t := range m {
				t.Close()
			}
		}
	}()
	for name, t := range inputs {
		x, err := native(t.Shape, t.Float32())
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", name, err)
		}
		in[name] = x
	}
	shapes := map[string]ir.Shape{}
	for _, p := range s.Outputs() {
		var shape ir.Shape
		for _, d := range p.Shape {
			if d < 0 {
				d = int64(inputs["images"].Shape[0])
			}
			shape = append(shape, int(d))
		}
		y, err := native(shape, make([]float32, shape.Size()))
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", p.Name, err)
		}
		shapes[p.Name], out[p.Name] = shape, y
	}
	if err := s.Run(in, out); err != nil {
		return nil, err
	}
	result := map[string]reference.Tensor{}
	for name, y := range out {
		if len(shapes[name]) == 0 {
			result[name] = reference.Scalar(float64(y.Scalar()))
			continue
		}
		result[name] = reference.FromFloat32(shapes[name], y.Floats())
	}
	return result, nil
}

func native(s ir.Shape, data []float32) (*runtime.Tensor, error) {
	if len(s) == 0 {
		return runtime.NewScalar(data[0])
	}
	d := make([]int64, len(s))
	for i, n := range s {
		d[i] = int64(n)
	}
	return runtime.WrapTensor(data, d...)
}

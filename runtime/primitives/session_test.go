package primitives

import (
	"fmt"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime"
)

// openLibrary starts ONNX Runtime once, or skips the test.
func openLibrary(t testing.TB) {
	t.Helper()
	lib, err := runtime.FindLibrary("")
	if err != nil {
		t.Skip(err)
	}
	if err := runtime.Open(lib); err != nil {
		t.Fatal(err)
	}
}

// session runs one graph; all its tensors are float32.
type session struct {
	*runtime.Session
	g *ir.Graph
}

// load lowers g and opens it. It closes with the test.
func load(t testing.TB, g *ir.Graph, o lower.Options) *session {
	t.Helper()
	openLibrary(t)
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("lowering %s panics: %v", g.Name, r)
		}
	}()
	m, err := lower.Lower(g, o)
	if err != nil {
		t.Fatal(err)
	}
	checkTidy(t, m)
	data, err := onnx.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.NewSessionFromBytes(g.Name, data, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &session{s, g}
}

// run feeds the inputs, rounded to float32, and returns the outputs by name.
func (s *session) run(inputs map[string]reference.Tensor) (map[string]reference.Tensor, error) {
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
	for _, o := range s.g.Outputs {
		y, err := native(o.Value.Shape, make([]float32, o.Value.Shape.Size()))
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", o.Name, err)
		}
		out[o.Name] = y
	}
	if err := s.Run(in, out); err != nil {
		return nil, err
	}
	result := map[string]reference.Tensor{}
	for _, o := range s.g.Outputs {
		y := out[o.Name]
		if len(o.Value.Shape) == 0 {
			result[o.Name] = reference.Scalar(float64(y.Scalar()))
			continue
		}
		result[o.Name] = reference.FromFloat32(o.Value.Shape, y.Floats())
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

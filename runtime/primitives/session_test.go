package primitives

import (
	"fmt"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

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

// session runs one model; all tensors are float32.
type session struct {
	s       *ort.DynamicAdvancedSession
	inputs  []*ir.Value
	outputs []ir.Output
}

// load lowers g and opens it. It closes with the test.
func load(t testing.TB, g *ir.Graph, o lower.Options) *session {
	t.Helper()
	openLibrary(t)
	m, err := lower.Lower(g, o)
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	opts, err := ort.NewSessionOptions()
	if err != nil {
		t.Fatal(err)
	}
	defer opts.Destroy()
	if err := opts.SetIntraOpNumThreads(1); err != nil {
		t.Fatal(err)
	}
	s := &session{inputs: g.Inputs, outputs: g.Outputs}
	var in, out []string
	for _, v := range g.Inputs {
		in = append(in, v.Name)
	}
	for _, o := range g.Outputs {
		out = append(out, o.Name)
	}
	if s.s, err = ort.NewDynamicAdvancedSessionWithONNXData(data, in, out, opts); err != nil {
		t.Fatalf("%s: %v", g.Name, err)
	}
	t.Cleanup(func() { s.close() })
	return s
}

func (s *session) close() {
	if s.s != nil {
		s.s.Destroy()
		s.s = nil
	}
}

// run feeds the inputs, rounded to float32, and returns the outputs by name.
func (s *session) run(inputs map[string]reference.Tensor) (map[string]reference.Tensor, error) {
	var in, out []ort.Value
	defer func() {
		for _, v := range append(in, out...) {
			v.Destroy()
		}
	}()
	for _, v := range s.inputs {
		t, ok := inputs[v.Name]
		if !ok {
			return nil, fmt.Errorf("input %q is missing", v.Name)
		}
		x, err := value(t.Shape, t.Float32())
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", v.Name, err)
		}
		in = append(in, x)
	}
	for _, o := range s.outputs {
		y, err := value(o.Value.Shape, make([]float32, o.Value.Shape.Size()))
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", o.Name, err)
		}
		out = append(out, y)
	}
	if err := s.s.Run(in, out); err != nil {
		return nil, err
	}
	result := map[string]reference.Tensor{}
	for i, o := range s.outputs {
		t, err := tensor(out[i])
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", o.Name, err)
		}
		result[o.Name] = t
	}
	return result, nil
}

func value(s ir.Shape, data []float32) (ort.Value, error) {
	if len(s) == 0 {
		return ort.NewScalar(data[0])
	}
	d := make([]int64, len(s))
	for i, n := range s {
		d[i] = int64(n)
	}
	return ort.NewTensor(ort.NewShape(d...), data)
}

func tensor(v ort.Value) (reference.Tensor, error) {
	switch v := v.(type) {
	case *ort.Scalar[float32]:
		return reference.Scalar(float64(v.GetData())), nil
	case *ort.Tensor[float32]:
		var s ir.Shape
		for _, d := range v.GetShape() {
			s = append(s, int(d))
		}
		return reference.FromFloat32(s, v.GetData()), nil
	}
	return reference.Tensor{}, fmt.Errorf("is a %T, want float32", v)
}

package runtime_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// counter adds one as often as its input says: an input of a billion runs for
// many minutes.
func counter() ortest.Graph {
	body := &onnx.GraphProto{
		Name: "body",
		Input: []*onnx.ValueInfoProto{
			onnx.TensorInfo("i", onnx.TensorProto_INT64, nil), onnx.TensorInfo("go", onnx.TensorProto_BOOL, nil), ortest.Floats("n", 1)},
		Output: []*onnx.ValueInfoProto{onnx.TensorInfo("on", onnx.TensorProto_BOOL, nil), ortest.Floats("m", 1)},
		Node: []*onnx.NodeProto{
			ortest.Node("Identity", []string{"go"}, []string{"on"}),
			ortest.Node("Add", []string{"n", "one"}, []string{"m"}),
		},
	}
	return ortest.Graph{
		Inputs:  []*onnx.ValueInfoProto{ortest.Floats("times", 1)},
		Outputs: []*onnx.ValueInfoProto{ortest.Floats("sum", 1)},
		Nodes: []*onnx.NodeProto{
			ortest.Node("Cast", []string{"times"}, []string{"trips"}, onnx.AttrInt("to", int64(onnx.TensorProto_INT64))),
			ortest.Node("Loop", []string{"trips", "", "zero"}, []string{"sum"},
				&onnx.AttributeProto{Name: "body", Type: onnx.AttributeProto_GRAPH, G: body}),
		},
		Initializers: []*onnx.TensorProto{onnx.Floats("zero", []int64{1}, []float32{0}), onnx.Floats("one", []int64{1}, []float32{1})},
	}
}

// TestRunContext: a run ends when its context is done, and leaves the session
// fit for the next and other runs of it alone.
func TestRunContext(t *testing.T) {
	s := counter().Session(t)
	run := func(ctx context.Context, times float32) (float32, error) {
		sum := []float32{-1}
		err := s.RunContext(ctx, map[string]*runtime.Tensor{"times": ortest.Tensor(t, []float32{times}, 1)},
			map[string]*runtime.Tensor{"sum": ortest.Tensor(t, sum, 1)})
		return sum[0], err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var wait sync.WaitGroup
	wait.Go(func() {
		if n, err := run(t.Context(), 20000); n != 20000 || err != nil {
			t.Errorf("beside an abandoned run: %v, %v", n, err)
		}
	})
	if _, err := run(ctx, 1e9); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an endless run: %v", err)
	}
	wait.Wait()
	if n, err := run(t.Context(), 7); n != 7 || err != nil {
		t.Errorf("after an abandoned run: %v, %v", n, err)
	}
	if n, err := run(ctx, 7); n != -1 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a context that is done already: %v, %v", n, err)
	}
}

package runtime_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"testing"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// resident returns the bytes of memory the process occupies.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("the system does not tell the size of a process")
	}
	var size, pages int64
	if _, err := fmt.Fscan(bytes.NewReader(b), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// The memory of a session's first run, before ONNX Runtime has planned where
// the values lie, goes back to the system.
func TestFirstRunReturnsItsMemory(t *testing.T) {
	ortest.Open(t)
	const elements = 16 << 20 // 64 MiB a value
	g := ortest.Graph{
		Inputs: []*onnx.ValueInfoProto{ortest.Floats("x", 1)}, Outputs: []*onnx.ValueInfoProto{ortest.Floats("y", 1)},
		Initializers: []*onnx.TensorProto{onnx.Ints("shape", []int64{1}, []int64{elements}), onnx.Ints("one", []int64{1}, []int64{1})},
		Nodes: []*onnx.NodeProto{
			ortest.Node("Expand", []string{"x", "shape"}, []string{"wide"}),
			ortest.Node("Exp", []string{"wide"}, []string{"e"}),
			ortest.Node("Mul", []string{"e", "wide"}, []string{"m"}),
			ortest.Node("ReduceMax", []string{"m"}, []string{"max"}),
			ortest.Node("Reshape", []string{"max", "one"}, []string{"y"}),
		},
	}
	s, err := runtime.NewSessionFromBytes("wide", g.Bytes(t), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x, err := runtime.NewTensor(1)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	y, err := runtime.NewTensor(1)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	before := resident(t)
	if err := s.Run(map[string]*runtime.Tensor{"x": x}, map[string]*runtime.Tensor{"y": y}); err != nil {
		t.Fatal(err)
	}
	// The arena keeps its first region, which is one value's here, of three.
	if kept := resident(t) - before; kept > 100<<20 {
		t.Errorf("%d MiB stay after the first run, whose values take 64 MiB each", kept>>20)
	}
}

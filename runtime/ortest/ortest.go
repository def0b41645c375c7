// Package ortest lets tests run graphs on the real ONNX Runtime.
package ortest

import (
	"errors"
	"os"
	"testing"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
)

// Open finds and opens the library. Without one the test fails and says how
// to install it: these tests prove nothing when they are skipped.
func Open(t testing.TB) runtime.Library {
	t.Helper()
	lib, err := runtime.FindLibraryFor(Provider(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.Open(lib); err != nil {
		t.Fatal(err)
	}
	return lib
}

// ProviderEnv names the execution provider that the tests of the operators run
// on, cpu where it is not set. On "cuda", which needs a GPU, only what is lowered
// for CUDA is tested.
const ProviderEnv = "ORTRAIN_TEST_PROVIDER"

// Provider returns the execution provider of the tests.
func Provider() string {
	if p := os.Getenv(ProviderEnv); p != "" {
		return p
	}
	return "cpu"
}

// Options are the session options of the tests of the operators: one thread, or
// the device without TF32. Nodes that a test puts around an operator may run on
// the CPU.
func Options() runtime.Options {
	return runtime.Options{Threads: 1, Kernels: Kernels(), Provider: Provider(), CUDA: runtime.CUDA{NoTF32: true, Fallback: true}}
}

// Kernels returns the kernel library of the tests' provider, nil where none is
// built: what needs it is then not tested. A broken one panics.
func Kernels() *runtime.Kernels {
	k, err := runtime.FindKernels(Provider())
	if err != nil && !errors.Is(err, runtime.ErrNoKernels) {
		panic(err)
	}
	return k
}

// Graph is a small model for a test.
type Graph struct {
	Inputs, Outputs []*onnx.ValueInfoProto
	Nodes           []*onnx.NodeProto
	Initializers    []*onnx.TensorProto
	Metadata        map[string]string
}

// Opset is the operator set version of the models made by Graph.
const Opset = 17

// Bytes encodes the graph as a model.
func (g Graph) Bytes(t testing.TB) []byte {
	t.Helper()
	m := &onnx.ModelProto{
		IrVersion:   8,
		OpsetImport: []*onnx.OperatorSetIdProto{{Version: Opset}},
		Graph: &onnx.GraphProto{Name: "test", Input: g.Inputs, Output: g.Outputs, Node: g.Nodes,
			Initializer: g.Initializers},
	}
	for k, v := range g.Metadata {
		m.MetadataProps = append(m.MetadataProps, &onnx.StringStringEntryProto{Key: k, Value: v})
	}
	b, err := onnx.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Node makes a node of the ONNX domain.
func Node(op string, inputs, outputs []string, attributes ...*onnx.AttributeProto) *onnx.NodeProto {
	return &onnx.NodeProto{OpType: op, Input: inputs, Output: outputs, Attribute: attributes}
}

// Floats declares a float32 port; a dimension below 0 is free.
func Floats(name string, dims ...int64) *onnx.ValueInfoProto {
	return onnx.TensorInfo(name, onnx.TensorProto_FLOAT, dims)
}

// Session loads the graph with one thread and closes it with the test.
func (g Graph) Session(t testing.TB) *runtime.Session {
	t.Helper()
	Open(t)
	s, err := runtime.NewSessionFromBytes(t.Name(), g.Bytes(t), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Tensor wraps data and closes the tensor with the test.
func Tensor(t testing.TB, data []float32, shape ...int64) *runtime.Tensor {
	t.Helper()
	x, err := runtime.WrapTensor(data, shape...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

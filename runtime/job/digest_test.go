package job

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestModelDigest: a model whose weights lie beside it is another when they
// change, and none that names files elsewhere is read.
func TestModelDigest(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	model := func(name, location string) string {
		w := &onnx.TensorProto{Name: "w", Dims: []int64{1, 1}, DataType: int32(onnx.TensorProto_FLOAT), DataLocation: onnx.TensorProto_EXTERNAL,
			ExternalData: []*onnx.StringStringEntryProto{{Key: "location", Value: location}}}
		return write(name, ortest.Graph{
			Inputs: []*onnx.ValueInfoProto{ortest.Floats("x", -1, 1)}, Outputs: []*onnx.ValueInfoProto{ortest.Floats("y", -1, 1)},
			Initializers: []*onnx.TensorProto{w}, Nodes: []*onnx.NodeProto{ortest.Node("MatMul", []string{"x", "w"}, []string{"y"})},
		}.Bytes(t))
	}
	path := model("m.onnx", "w.bin")
	digest := func(path string) string {
		t.Helper()
		d, err := modelDigest(path)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	write("w.bin", []byte{0, 0, 128, 63})
	one := digest(path)
	write("w.bin", []byte{0, 0, 0, 64})
	if two := digest(path); one == two {
		t.Error("other weights have the same digest")
	}
	write("w.bin", []byte{0, 0, 128, 63})
	if again := digest(path); again != one {
		t.Error("equal weights have different digests")
	}
	for name, want := range map[string]string{
		model("lost.onnx", "gone.bin"):            "its weights",
		model("out.onnx", "../w.bin"):             "outside its folder",
		write("text.onnx", []byte("not a model")): "not an ONNX model",
	} {
		if _, err := modelDigest(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

package check_test

import (
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// model is y = Relu(x + w) with one initializer w, changed by the caller.
func model(t testing.TB, change func(g *onnx.GraphProto)) []byte {
	t.Helper()
	shape := []int64{2}
	g := &onnx.GraphProto{
		Name: "g",
		Node: []*onnx.NodeProto{
			{Name: "a", OpType: "Add", Input: []string{"x", "w"}, Output: []string{"s"}},
			{Name: "r", OpType: "Relu", Input: []string{"s"}, Output: []string{"y"}},
		},
		Initializer: []*onnx.TensorProto{onnx.Floats("w", shape, []float32{1, 2})},
		Input:       []*onnx.ValueInfoProto{onnx.TensorInfo("x", onnx.TensorProto_FLOAT, shape)},
		Output:      []*onnx.ValueInfoProto{onnx.TensorInfo("y", onnx.TensorProto_FLOAT, shape)},
	}
	if change != nil {
		change(g)
	}
	b, err := onnx.Marshal(&onnx.ModelProto{IrVersion: 10, Graph: g, OpsetImport: []*onnx.OperatorSetIdProto{{Version: 21}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSound(t *testing.T) {
	r, err := check.Bytes(model(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if r.Values != 4 || r.Operations != 2 || r.Depth != 2 || r.Operators["Add"] != 1 || r.Operators["Relu"] != 1 {
		t.Errorf("report %+v", r)
	}
}

// Ports of types that onnx-go cannot hold do not keep it from the rest.
func TestForeignPorts(t *testing.T) {
	r, err := check.Bytes(model(t, func(g *onnx.GraphProto) {
		for _, v := range []*onnx.ValueInfoProto{g.Input[0], g.Output[0]} {
			v.Type.GetTensorType().ElemType = int32(onnx.TensorProto_FLOAT16)
		}
	}))
	if err != nil || r.Operations != 2 {
		t.Errorf("report %+v, %v", r, err)
	}
}

// TestBodies: a Loop's body is looked at as well, with what it sees around it.
func TestBodies(t *testing.T) {
	loop := func(reads, outer string) []byte {
		return model(t, func(g *onnx.GraphProto) {
			flag := func(name string) *onnx.ValueInfoProto { return onnx.TensorInfo(name, onnx.TensorProto_BOOL, nil) }
			body := &onnx.GraphProto{Name: "body",
				Node: []*onnx.NodeProto{
					{OpType: "Identity", Input: []string{"c"}, Output: []string{"c_out"}},
					{OpType: "Add", Input: []string{"state", reads}, Output: []string{"state_out"}},
				},
				Input:  []*onnx.ValueInfoProto{onnx.TensorInfo("i", onnx.TensorProto_INT64, nil), flag("c"), onnx.TensorInfo("state", onnx.TensorProto_FLOAT, []int64{2})},
				Output: []*onnx.ValueInfoProto{flag("c_out"), onnx.TensorInfo("state_out", onnx.TensorProto_FLOAT, []int64{2})},
			}
			g.Input = append(g.Input, onnx.TensorInfo("n", onnx.TensorProto_INT64, []int64{1}))
			g.Node = append(g.Node[:1], &onnx.NodeProto{OpType: "Loop", Input: []string{"n", "", outer}, Output: []string{"y"},
				Attribute: []*onnx.AttributeProto{{Name: "body", Type: onnx.AttributeProto_GRAPH, G: body}}})
		})
	}
	r, err := check.Bytes(loop("w", "s"))
	if err != nil || r.Operators["Loop"] != 1 || r.Operators["Add"] != 2 || r.Operators["Identity"] != 1 {
		t.Errorf("report %+v, %v", r, err)
	}
	if _, err := check.Bytes(loop("nothing", "s")); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("a body that reads what nobody makes: %v", err)
	}
	if _, err := check.Bytes(loop("state_out", "s")); err == nil {
		t.Error("a cycle in a body passes")
	}
}

// TestFaults: what the check is there for.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(g *onnx.GraphProto)
	}{
		{"a cycle", "cycle", func(g *onnx.GraphProto) { g.Node[0].Input[1] = "y" }},
		{"a value nothing produces", `"ghost", which nothing produces`, func(g *onnx.GraphProto) { g.Node[0].Input[1] = "ghost" }},
		{"an output nothing computes", `"z" is not computed`, func(g *onnx.GraphProto) { g.Output[0].Name = "z" }},
		{"too few inputs", "Add has 1 inputs", func(g *onnx.GraphProto) { g.Node[0].Input = []string{"x"} }},
		{"too many inputs", "Relu has 2 inputs", func(g *onnx.GraphProto) { g.Node[1].Input = []string{"s", "x"} }},
		{"too many outputs", "2 outputs", func(g *onnx.GraphProto) { g.Node[1].Output = []string{"y", "y2"} }},
		{"a value produced twice", "produced 2 times", func(g *onnx.GraphProto) {
			// The reader adds up the inputs of both, so take operators that
			// allow any number.
			g.Node[0].OpType, g.Node[1].OpType = "Max", "Max"
			g.Node = append(g.Node, &onnx.NodeProto{OpType: "Max", Input: []string{"x"}, Output: []string{"y"}})
		}},
		{"an input that is computed", "also computed", func(g *onnx.GraphProto) { g.Node[0].Output[0], g.Node[1].Input[0], g.Node[0].Input[0] = "x", "x", "w" }},
		{"a foreign operator", "Bogus", func(g *onnx.GraphProto) { g.Node[1].OpType = "Bogus" }},
		{"no nodes", "cannot decode", func(g *onnx.GraphProto) { g.Node = nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := check.Bytes(model(t, c.change)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
		})
	}
	if _, err := check.Bytes([]byte("not a model")); err == nil {
		t.Error("text passed")
	}
	if _, err := check.File("nosuch.onnx"); err == nil {
		t.Error("a missing file passed")
	}
}

// A reader in the middle of hostile bytes must not panic.
func FuzzBytes(f *testing.F) {
	f.Add(model(f, nil))
	f.Add([]byte{})
	f.Fuzz(func(_ *testing.T, b []byte) {
		if len(b) < 1<<16 {
			check.Bytes(b)
		}
	})
}

package importer_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/ortrain/ortrain/graphs/importer"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/nn"
	"github.com/ortrain/ortrain/graphs/onnx"
)

const fixtures = "../../testdata/golden/foreign/"

// linear is logits = Flatten(image 1×2×2)·Wᵀ + b for 3 classes, changed by the
// caller.
func linear(change func(m *onnx.ModelProto)) *onnx.ModelProto {
	values := make([]float32, 12)
	for i := range values {
		values[i] = float32(i) / 8
	}
	m := &onnx.ModelProto{
		IrVersion: 8, OpsetImport: []*onnx.OperatorSetIdProto{{Version: 13}},
		Graph: &onnx.GraphProto{
			Name: "g",
			Node: []*onnx.NodeProto{
				{Name: "flat", OpType: "Flatten", Input: []string{"x"}, Output: []string{"f"}},
				{Name: "fc", OpType: "Gemm", Input: []string{"f", "fc.weight", "fc.bias"}, Output: []string{"y"},
					Attribute: []*onnx.AttributeProto{onnx.AttrInt("transB", 1)}},
			},
			Initializer: []*onnx.TensorProto{onnx.Floats("fc.weight", []int64{3, 4}, values), onnx.Floats("fc.bias", []int64{3}, values[:3])},
			Input:       []*onnx.ValueInfoProto{onnx.TensorInfo("x", onnx.TensorProto_FLOAT, []int64{-1, 1, 2, 2})},
			Output:      []*onnx.ValueInfoProto{onnx.TensorInfo("y", onnx.TensorProto_FLOAT, []int64{-1, 3})},
		},
	}
	if change != nil {
		change(m)
	}
	return m
}

func config(classes int) models.Config {
	return models.Config{Classes: classes, Input: [3]int{1, 2, 2}}
}

func build(m *onnx.ModelProto, dir string, o importer.Options, c models.Config) (*importer.Source, nn.Layout, error) {
	s, err := importer.Parse(m, "model", dir, o)
	if err != nil {
		return nil, nn.Layout{}, err
	}
	cfg, err := s.Model().Resolve(c)
	if err != nil {
		return s, nn.Layout{}, err
	}
	return s, s.Model().Layout(cfg, 2), nil
}

func names(l nn.Layout) string {
	var s []string
	for _, t := range l.Params {
		s = append(s, t.Name+" "+t.Shape.String())
	}
	for _, t := range l.Stats {
		s = append(s, "("+t.Name+" "+t.Shape.String()+")")
	}
	return strings.Join(s, ", ")
}

// TestLayout: what is declared, and what a new head changes.
func TestLayout(t *testing.T) {
	for _, c := range []struct {
		name    string
		classes int
		change  func(m *onnx.ModelProto)
		want    string
	}{
		{"gemm", 3, nil, "fc.weight 3×4, fc.bias 3"},
		{"gemm with a new head", 7, nil, "fc.weight 7×4, fc.bias 7"},
		{"matmul and a bias", 7, func(m *onnx.ModelProto) {
			m.Graph.Initializer[0].Dims = []int64{4, 3}
			m.Graph.Node[1] = &onnx.NodeProto{Name: "fc", OpType: "MatMul", Input: []string{"f", "fc.weight"}, Output: []string{"p"}}
			m.Graph.Node = append(m.Graph.Node, &onnx.NodeProto{Name: "add", OpType: "Add", Input: []string{"fc.bias", "p"}, Output: []string{"y"}})
		}, "fc.weight 4×7, fc.bias 7"},
		{"a convolution and a reshape that names the classes", 7, func(m *onnx.ModelProto) {
			m.Graph.Initializer[0].Dims = []int64{3, 1, 2, 2}
			m.Graph.Initializer = append(m.Graph.Initializer, onnx.Ints("to", []int64{2}, []int64{0, 3}))
			m.Graph.Node = []*onnx.NodeProto{
				{Name: "fc", OpType: "Conv", Input: []string{"x", "fc.weight", "fc.bias"}, Output: []string{"c"}},
				{OpType: "Reshape", Input: []string{"c", "to"}, Output: []string{"y"}},
			}
		}, "fc.weight 7×1×2×2, fc.bias 7"},
		{"a softmax behind the logits", 3, func(m *onnx.ModelProto) {
			m.Graph.Node = append(m.Graph.Node, &onnx.NodeProto{OpType: "Softmax", Input: []string{"y"}, Output: []string{"p"}})
			m.Graph.Output[0].Name = "p"
		}, "fc.weight 3×4, fc.bias 3"},
		{"weights in Constant nodes", 7, func(m *onnx.ModelProto) {
			var constants []*onnx.NodeProto
			for _, i := range m.Graph.Initializer {
				constants = append(constants, &onnx.NodeProto{OpType: "Constant", Output: []string{i.Name},
					Attribute: []*onnx.AttributeProto{onnx.AttrTensor("value", i)}})
			}
			m.Graph.Node, m.Graph.Initializer = append(constants, m.Graph.Node...), nil
		}, "fc.weight 7×4, fc.bias 7"},
		{"nodes in any order, and one that nothing needs", 3, func(m *onnx.ModelProto) {
			m.Graph.Node = []*onnx.NodeProto{m.Graph.Node[1], m.Graph.Node[0], {OpType: "Resize", Input: []string{"x"}, Output: []string{"z"}}}
		}, "fc.weight 3×4, fc.bias 3"},
		{"weights listed as inputs", 3, func(m *onnx.ModelProto) {
			m.Graph.Input = append(m.Graph.Input, onnx.TensorInfo("fc.weight", onnx.TensorProto_FLOAT, []int64{3, 4}))
		}, "fc.weight 3×4, fc.bias 3"},
		{"norms that share their tensors", 3, func(m *onnx.ModelProto) {
			one := onnx.Floats("one", []int64{1}, []float32{1})
			m.Graph.Initializer = append(m.Graph.Initializer, one)
			m.Graph.Node[0].Input[0] = "b"
			for _, v := range [][2]string{{"x", "a"}, {"a", "b"}} {
				m.Graph.Node = append(m.Graph.Node, &onnx.NodeProto{OpType: "BatchNormalization",
					Input: []string{v[0], "one", "one", "one", "one"}, Output: []string{v[1]}})
			}
		}, "one 1, one@a 1, one@b 1, one@b.1 1, fc.weight 3×4, fc.bias 3, (one@a.1 1), (one@a.2 1), (one@b.2 1), (one@b.3 1)"},
		{"names that the graphs use themselves", 3, func(m *onnx.ModelProto) {
			m.Graph.Initializer[0].Name, m.Graph.Node[1].Input[1] = "images", "images"
		}, "images.tensor 3×4, fc.bias 3"},
		{"a fixed batch that a reshape names", 3, func(m *onnx.ModelProto) {
			m.Graph.Input[0] = onnx.TensorInfo("x", onnx.TensorProto_FLOAT, []int64{1, 1, 2, 2})
			m.Graph.Initializer = append(m.Graph.Initializer, onnx.Ints("to", []int64{2}, []int64{1, -1}))
			m.Graph.Node[0] = &onnx.NodeProto{OpType: "Reshape", Input: []string{"x", "to"}, Output: []string{"f"}}
		}, "fc.weight 3×4, fc.bias 3"},
		{"a shape that is computed", 3, func(m *onnx.ModelProto) {
			m.Graph.Initializer = append(m.Graph.Initializer, onnx.Ints("zero", nil, []int64{0}), onnx.Ints("axis", []int64{1}, []int64{0}),
				onnx.Ints("rest", []int64{1}, []int64{-1}))
			m.Graph.Node = append([]*onnx.NodeProto{
				{OpType: "Shape", Input: []string{"x"}, Output: []string{"s"}},
				{OpType: "Gather", Input: []string{"s", "zero"}, Output: []string{"n"}},
				{OpType: "Unsqueeze", Input: []string{"n", "axis"}, Output: []string{"u"}},
				{OpType: "Concat", Input: []string{"u", "rest"}, Output: []string{"to"}, Attribute: []*onnx.AttributeProto{onnx.AttrInt("axis", 0)}},
				{OpType: "Reshape", Input: []string{"x", "to"}, Output: []string{"f"}},
			}, m.Graph.Node[1])
		}, "fc.weight 3×4, fc.bias 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, l, err := build(linear(c.change), "", importer.Options{}, config(c.classes))
			if err != nil {
				t.Fatal(err)
			}
			if got := names(l); got != c.want {
				t.Errorf("declares %s\nwant %s", got, c.want)
			}
			if s.Classes != 3 {
				t.Errorf("the file has %d classes", s.Classes)
			}
		})
	}
}

// TestEncodings: weights as raw bytes, in typed fields, in half precision and in
// a file beside the model are the same weights.
func TestEncodings(t *testing.T) {
	dir := t.TempDir()
	want := make([]float32, 12)
	for i := range want {
		want[i] = float32(i) / 8
	}
	beside := make([]byte, 5)
	beside = append(beside, linear(nil).Graph.Initializer[0].RawData...)
	if err := os.WriteFile(filepath.Join(dir, "weights.bin"), beside, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(w *onnx.TensorProto){
		"raw":   func(*onnx.TensorProto) {},
		"typed": func(w *onnx.TensorProto) { w.RawData, w.FloatData = nil, want },
		"half": func(w *onnx.TensorProto) {
			w.DataType, w.RawData = int32(onnx.TensorProto_FLOAT16), nil
			for i := range want {
				w.Int32Data = append(w.Int32Data, int32(halfBits(want[i])))
			}
		},
		"double": func(w *onnx.TensorProto) {
			w.DataType, w.RawData = int32(onnx.TensorProto_DOUBLE), nil
			for _, v := range want {
				w.DoubleData = append(w.DoubleData, float64(v))
			}
		},
		"beside the model": func(w *onnx.TensorProto) {
			w.RawData, w.DataLocation = nil, onnx.TensorProto_EXTERNAL
			w.ExternalData = []*onnx.StringStringEntryProto{{Key: "location", Value: "weights.bin"}, {Key: "offset", Value: "5"}, {Key: "length", Value: "48"}}
		},
	} {
		s, _, err := build(linear(func(m *onnx.ModelProto) { change(m.Graph.Initializer[0]) }), dir, importer.Options{}, config(3))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ws, err := s.Weights(config(3))
		if err != nil || len(ws) != 2 {
			t.Fatalf("%s: %v, %v", name, ws, err)
		}
		got, err := ws[0].Float32s()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: %v", name, got)
				break
			}
		}
		// The copy that a run keeps needs no file beside it.
		b, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		alone, err := onnx.Unmarshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := build(alone, "", importer.Options{}, config(3)); err != nil {
			t.Errorf("%s, kept: %v", name, err)
		}
	}
}

// halfBits is exact for small multiples of 1/8.
func halfBits(x float32) uint16 {
	if x == 0 {
		return 0
	}
	b := math.Float32bits(x)
	return uint16(b>>31<<15 | (b>>23&0xff-112)<<10 | b>>13&0x3ff)
}

// TestRefused: a model that cannot be trained gets one line that says why.
func TestRefused(t *testing.T) {
	node := func(op string, in ...string) *onnx.NodeProto {
		return &onnx.NodeProto{Name: "the_node", OpType: op, Input: in, Output: []string{"f"}}
	}
	first := func(n *onnx.NodeProto) func(*onnx.ModelProto) {
		return func(m *onnx.ModelProto) { m.Graph.Node[0] = n }
	}
	external := func(location string) func(*onnx.ModelProto) {
		return func(m *onnx.ModelProto) {
			w := m.Graph.Initializer[0]
			w.RawData, w.DataLocation = nil, onnx.TensorProto_EXTERNAL
			w.ExternalData = []*onnx.StringStringEntryProto{{Key: "location", Value: location}}
		}
	}
	for _, c := range []struct {
		name   string
		change func(m *onnx.ModelProto)
		says   string
	}{
		{"an operator without a gradient", first(node("NonMaxSuppression", "x")), `"the_node" operator NonMaxSuppression no gradient`},
		{"an operator of another set", func(m *onnx.ModelProto) { m.Graph.Node[0].Domain = "com.microsoft" }, `"flat" com.microsoft`},
		{"control flow", first(node("If", "x")), `"the_node" control-flow If`},
		{"two outputs", func(m *onnx.ModelProto) {
			m.Graph.Output = append(m.Graph.Output, onnx.TensorInfo("f", onnx.TensorProto_FLOAT, nil))
		}, "2 outputs (y, f) one is expected"},
		{"two inputs", func(m *onnx.ModelProto) {
			m.Graph.Input = append(m.Graph.Input, onnx.TensorInfo("z", onnx.TensorProto_FLOAT, nil))
		}, "2 inputs (x, z)"},
		{"no image", func(m *onnx.ModelProto) {
			m.Graph.Input[0] = onnx.TensorInfo("x", onnx.TensorProto_FLOAT, []int64{-1, 4})
		}, "2 dimensions"},
		{"bytes as input", func(m *onnx.ModelProto) {
			m.Graph.Input[0] = onnx.TensorInfo("x", onnx.TensorProto_UINT8, []int64{-1, 1, 2, 2})
		}, "UINT8"},
		{"an old operator set", func(m *onnx.ModelProto) { m.OpsetImport[0].Version = 5 }, "operator set is 5"},
		{"a shape that depends on the image", func(m *onnx.ModelProto) {
			m.Graph.Node = append([]*onnx.NodeProto{{OpType: "Cast", Input: []string{"x"}, Output: []string{"to"},
				Attribute: []*onnx.AttributeProto{onnx.AttrInt("to", 1)}}}, m.Graph.Node...)
			m.Graph.Node[1] = node("Reshape", "x", "to")
		}, `"the_node" dynamic shape cannot be resolved`},
		{"a cycle", first(node("Add", "x", "y")), "cycle"},
		{"a value from nowhere", first(node("Flatten", "ghost")), `"ghost"`},
		{"a value made twice", func(m *onnx.ModelProto) {
			m.Graph.Node = append(m.Graph.Node, node("Relu", "x"))
		}, `"f" is produced twice`},
		{"an output from nowhere", func(m *onnx.ModelProto) { m.Graph.Output[0].Name = "ghost" }, "ghost"},
		{"cut weights", func(m *onnx.ModelProto) { m.Graph.Initializer[0].RawData = m.Graph.Initializer[0].RawData[:40] }, `"fc.weight" has 40 bytes`},
		{"quantised weights", func(m *onnx.ModelProto) { m.Graph.Initializer[0].DataType = int32(onnx.TensorProto_INT8) }, "quantised"},
		{"impossible dimensions", func(m *onnx.ModelProto) { m.Graph.Initializer[0].Dims = []int64{-3, 4} }, "impossible dimensions"},
		{"weights that are missing", external("none.bin"), `"fc.weight" missing none.bin`},
		{"weights outside the folder", external("../secret.bin"), "outside the model's folder"},
		{"weights by an absolute path", external("/etc/passwd"), "outside the model's folder"},
		{"padding by ones", func(m *onnx.ModelProto) {
			m.Graph.Initializer = append(m.Graph.Initializer, onnx.Ints("p", []int64{8}, make([]int64, 8)), onnx.Floats("one", nil, []float32{1}))
			m.Graph.Node[0] = node("Pad", "x", "p", "one")
		}, `"the_node" padding by 1`},
		{"reflection beyond the image", func(m *onnx.ModelProto) {
			m.Graph.Initializer = append(m.Graph.Initializer, onnx.Ints("p", []int64{8}, []int64{0, 0, 2, 0, 0, 0, 0, 0}))
			n := node("Pad", "x", "p")
			n.Attribute = []*onnx.AttributeProto{onnx.AttrString("mode", "reflect")}
			m.Graph.Node[0] = n
		}, `"the_node" too large`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _, err := build(linear(c.change), t.TempDir(), importer.Options{}, config(3))
			if err == nil {
				var ws []importer.Weight
				if ws, err = s.Weights(config(3)); err == nil {
					for _, w := range ws {
						if _, e := w.Float32s(); e != nil {
							err = e
						}
					}
				}
			}
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v", err)
			}
			for _, word := range strings.Fields(c.says) {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
		})
	}
	if _, _, err := build(linear(nil), "", importer.Options{}, models.Config{Classes: 3, Input: [3]int{3, 2, 2}}); err == nil || !strings.Contains(err.Error(), "1 channels, the data have 3") {
		t.Errorf("other channels: %v", err)
	}
	if _, _, err := build(linear(nil), "", importer.Options{}, models.Config{Classes: 3, Input: [3]int{1, 3, 3}}); err == nil || !strings.Contains(err.Error(), `"fc"`) {
		t.Errorf("another size: %v", err)
	}
	if _, _, err := build(linear(nil), "", importer.Options{Head: "classifier"}, config(3)); err == nil || !strings.Contains(err.Error(), `"classifier"`) {
		t.Errorf("an unknown head: %v", err)
	}
}

// TestOpenRefuses: what a file may be instead of a model.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	whole, err := os.ReadFile(fixtures + "cnn.onnx")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	huge := write("huge.onnx", whole)
	if err := os.Truncate(huge, 1<<31); err != nil { // a file of holes
		t.Skipf("no large files here: %v", err)
	}
	for path, says := range map[string]string{
		write("text.onnx", []byte("epoch,loss\n1,2\n")): "not an ONNX model",
		write("cut.onnx", whole[:len(whole)/2]):         "cut short",
		write("empty.onnx", nil):                        "empty",
		huge:                                            "2 GiB",
		filepath.Join(dir, "none.onnx"):                 "none.onnx",
		dir:                                             "folder",
	} {
		_, err := importer.Open(path, importer.Options{})
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %q", path, err, says)
		}
	}
}

// TestOpenBatch: the graphs of the fixtures leave the batch open.
func TestOpenBatch(t *testing.T) {
	for _, name := range []string{"cnn", "transformer", "nhwc"} {
		s, err := importer.Open(fixtures+name+".onnx", importer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Model().Resolve(models.Config{Classes: 5, Input: [3]int{3, 16, 16}})
		if err != nil {
			t.Fatal(err)
		}
		g := ir.New(name)
		src := &nn.Collector{G: g}
		x := g.Input("images", ir.F32(1, 3, 16, 16))
		y := s.Model().Forward(&nn.Builder{G: g, Source: src}, x, c)
		open := 0
		for _, n := range g.Nodes {
			if r, ok := n.Op.(ir.Reshape); ok && r.Batch > 0 {
				open++
			}
		}
		if !y.Shape.Equal(ir.Shape{1, 5}) || name != "nhwc" && open == 0 {
			t.Errorf("%s: logits %v, %d reshapes with an open batch", name, y.Shape, open)
		}
	}
}

// FuzzParse: no model, however broken, does more than be refused.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"cnn", "transformer", "nhwc"} {
		b, err := os.ReadFile(fixtures + name + ".onnx")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	b, err := proto.Marshal(linear(nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		m, err := onnx.Unmarshal(b)
		if err != nil {
			return
		}
		s, err := importer.Parse(m, "fuzz", "", importer.Options{})
		if err != nil {
			return
		}
		for _, c := range []models.Config{{Classes: 5, Input: [3]int{3, 16, 16}}, {Classes: 3, Input: [3]int{1, 2, 2}}} {
			cfg, err := s.Model().Resolve(c)
			if err != nil {
				continue
			}
			s.Model().Layout(cfg, 2)
			ws, err := s.Weights(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range ws {
				w.Float32s()
			}
		}
	})
}

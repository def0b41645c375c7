package calibrate_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/deploy"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// graph is a model of images 2×4×4 to 3 logits around the given nodes, whose
// further inputs are random constants by name and shape.
func graph(t *testing.T, constants map[string][]int64, nodes ...*onnx.NodeProto) *onnx.ModelProto {
	t.Helper()
	g := ortest.Graph{
		Inputs:  []*onnx.ValueInfoProto{ortest.Floats(artifact.Images, -1, 2, 4, 4)},
		Outputs: []*onnx.ValueInfoProto{ortest.Floats(artifact.Logits, -1, 3)},
		Nodes:   nodes,
	}
	r := rand.New(rand.NewPCG(7, 8))
	for name, dims := range constants {
		n := 1
		for _, d := range dims {
			n *= int(d)
		}
		v := make([]float32, n)
		for i := range v {
			if v[i] = float32(r.NormFloat64()); strings.HasSuffix(name, "var") {
				v[i] = float32(0.1 + r.Float64())
			}
		}
		g.Initializers = append(g.Initializers, onnx.Floats(name, dims, v))
	}
	m, err := onnx.Unmarshal(g.Bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestFoldForms: what folds into what, with the same results.
func TestFoldForms(t *testing.T) {
	ortest.Open(t)
	n := ortest.Node
	norm := func(in, out, name string) *onnx.NodeProto {
		return n("BatchNormalization", []string{in, name + ".w", name + ".b", name + ".mean", name + ".var"}, []string{out})
	}
	pool := func(in string) []*onnx.NodeProto {
		return []*onnx.NodeProto{n("GlobalAveragePool", []string{in}, []string{"pool"}), n("Flatten", []string{"pool"}, []string{artifact.Logits})}
	}
	stats := func(name string, c int64, more map[string][]int64) map[string][]int64 {
		for _, p := range []string{".w", ".b", ".mean", ".var"} {
			more[name+p] = []int64{c}
		}
		return more
	}
	for name, c := range map[string]struct {
		model       *onnx.ModelProto
		norms, kept int
		nodes       int // that are left
	}{
		"convolution with a bias, norm, scale, shift": {graph(t,
			stats("n", 3, map[string][]int64{"w": {3, 2, 3, 3}, "b": {3}, "half": {}, "shift": {3, 1, 1}}),
			append([]*onnx.NodeProto{
				n("Conv", []string{"images", "w", "b"}, []string{"c"}), norm("c", "y", "n"),
				n("Mul", []string{"half", "y"}, []string{"z"}), n("Add", []string{"z", "shift"}, []string{"s"})}, pool("s")...)...), 1, 0, 3},
		"grouped convolution": {graph(t, stats("n", 4, map[string][]int64{"w": {4, 1, 3, 3}, "v": {3, 4, 1, 1}}),
			append([]*onnx.NodeProto{
				n("Conv", []string{"images", "w"}, []string{"c"}, onnx.AttrInt("group", 2)), norm("c", "y", "n"),
				n("Relu", []string{"y"}, []string{"a"}), n("Conv", []string{"a", "v"}, []string{"s"})}, pool("s")...)...), 1, 0, 5},
		"shared weights": {graph(t, stats("n", 3, stats("m", 3, map[string][]int64{"w": {3, 2, 3, 3}})),
			append([]*onnx.NodeProto{
				n("Conv", []string{"images", "w"}, []string{"c"}), n("Conv", []string{"images", "w"}, []string{"d"}),
				norm("c", "y", "n"), norm("d", "z", "m"), n("Add", []string{"y", "z"}, []string{"s"})}, pool("s")...)...), 2, 0, 5},
		"a product either way round": {graph(t, stats("n", 5, stats("m", 3, map[string][]int64{"w": {32, 5}, "v": {3, 5}, "b": {1, 3}})),
			n("Flatten", []string{"images"}, []string{"x"}), n("Gemm", []string{"x", "w"}, []string{"c"}), norm("c", "y", "n"),
			n("Gemm", []string{"y", "v"}, []string{"d"}, onnx.AttrInt("transB", 1)), n("Add", []string{"d", "b"}, []string{"e"}), norm("e", "logits", "m")), 2, 0, 3},
		"read twice": {graph(t, stats("n", 3, map[string][]int64{"w": {3, 2, 3, 3}}),
			append([]*onnx.NodeProto{n("Conv", []string{"images", "w"}, []string{"c"}), norm("c", "y", "n"),
				n("Add", []string{"c", "y"}, []string{"s"})}, pool("s")...)...), 0, 1, 5},
		"before anything": {graph(t, stats("n", 2, map[string][]int64{"w": {3, 2, 3, 3}}),
			append([]*onnx.NodeProto{norm("images", "y", "n"), n("Identity", []string{"y"}, []string{"i"}), n("Dropout", []string{"i"}, []string{"d"}),
				n("Conv", []string{"d", "w"}, []string{"s"})}, pool("s")...)...), 0, 1, 4},
	} {
		t.Run(name, func(t *testing.T) {
			x := images(t, c.model, 3)
			want := run(t, c.model, x)[artifact.Logits]
			folded, f, err := deploy.Fold(c.model)
			if err != nil {
				t.Fatal(err)
			}
			if f.Norms != c.norms || f.Kept != c.kept || len(folded.Graph.Node) != c.nodes {
				t.Errorf("%+v, %d nodes; want %d folded, %d kept, %d nodes", f, len(folded.Graph.Node), c.norms, c.kept, c.nodes)
			}
			if d := apart(want, run(t, folded, x)[artifact.Logits]); d > 1e-5 {
				t.Errorf("the results move by %.2g", d)
			}
			if d := apart(want, run(t, c.model, x)[artifact.Logits]); d != 0 {
				t.Error("the argument changed")
			}
		})
	}
}

// TestRefusedModels: models that no rewrite may touch.
func TestRefusedModels(t *testing.T) {
	n := ortest.Node
	plain := func() *onnx.ModelProto {
		return graph(t, map[string][]int64{"w": {3, 2, 4, 4}}, n("Conv", []string{"images", "w"}, []string{"c"}), n("Flatten", []string{"c"}, []string{"logits"}))
	}
	old := plain()
	old.OpsetImport[0].Version = 9
	branches := plain()
	branches.Graph.Node[0].Attribute = append(branches.Graph.Node[0].Attribute,
		&onnx.AttributeProto{Name: "body", Type: onnx.AttributeProto_GRAPH, G: &onnx.GraphProto{}})
	big := graph(t, map[string][]int64{}, n("Conv", []string{"images", "w"}, []string{"c"}), n("Flatten", []string{"c"}, []string{"logits"}))
	big.Graph.Initializer = append(big.Graph.Initializer, onnx.Floats("w", []int64{3, 2, 4, 4}, append(make([]float32, 95), 1e5)))
	two := plain()
	two.Graph.Output = append(two.Graph.Output, ortest.Floats("c"))
	for name, c := range map[string]struct {
		do   func() error
		want string
	}{
		"old":      {func() error { _, _, err := deploy.Fold(old); return err }, "operator set 9"},
		"branches": {func() error { _, _, err := deploy.Fold(branches); return err }, "graph of its own"},
		"large":    {func() error { _, err := deploy.Float16(big, false); return err }, "65504"},
		"heads":    {func() error { _, err := deploy.Softmax(two); return err }, "2 outputs"},
		"range":    {func() error { _, _, err := deploy.Quantise(plain(), nil, deploy.QuantiseOptions{}); return err }, `"images"`},
		"channels": {func() error {
			_, err := deploy.Preprocess(plain(), deploy.Preprocessing{Mean: []float32{0}, Std: []float32{1}})
			return err
		}, "1 means"},
		"small": {func() error {
			_, err := deploy.Preprocess(plain(), deploy.Preprocessing{Mean: []float32{0, 0}, Std: []float32{1, 1}, Resize: 3})
			return err
		}, "smaller"},
		"filter": {func() error {
			_, err := deploy.Preprocess(plain(), deploy.Preprocessing{Mean: []float32{0, 0}, Std: []float32{1, 1}, Filter: "lanczos"})
			return err
		}, "lanczos"},
	} {
		if err := c.do(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", name, err, c.want)
		}
	}
}

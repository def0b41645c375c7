package primitives

import (
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/ortrain/ortrain/graphs/autodiff"
	"github.com/ortrain/ortrain/graphs/importer"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/nn"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// importedCase is one operator of a file, applied to images 2×4×5×3 (or of its
// own size) before a linear layer.
type importedCase struct {
	name   string
	opset  int64
	nodes  []*onnx.NodeProto // from "x" to "y"
	tensor []*onnx.TensorProto
	image  ir.Shape // N×C×H×W; nil for the usual
	out    ir.Shape // of y
}

// importedCases are the operators that the importer makes of others and that
// no network of the fixtures has.
func importedCases() []importedCase {
	r := seeded(17)
	vector := func(name string, mean float64, n int) *onnx.TensorProto {
		return onnx.Floats(name, []int64{int64(n)}, r.normal(mean, 0.5, n).Float32())
	}
	node := func(op, out string, in []string, attributes ...*onnx.AttributeProto) *onnx.NodeProto {
		return &onnx.NodeProto{Name: op + "_" + out, OpType: op, Input: in, Output: []string{out}, Attribute: attributes}
	}
	norm := []string{"x", "scale", "shift"}
	affine := func(n int) []*onnx.TensorProto {
		return []*onnx.TensorProto{vector("scale", 1, n), vector("shift", 0, n)}
	}
	lrn := func(name string, channels int, attributes ...*onnx.AttributeProto) importedCase {
		s := ir.Shape{2, channels, 3, 2}
		return importedCase{name: name, opset: 13, nodes: []*onnx.NodeProto{node("LRN", "y", []string{"x"}, attributes...)}, image: s, out: s}
	}
	padded := func(name, mode string, opset int64, out ir.Shape, amounts ...int64) importedCase {
		return importedCase{name: name, opset: opset, out: out,
			nodes:  []*onnx.NodeProto{node("Pad", "y", []string{"x", "amounts"}, onnx.AttrString("mode", mode))},
			tensor: []*onnx.TensorProto{onnx.Ints("amounts", []int64{int64(len(amounts))}, amounts)}}
	}
	along := padded("pad by reflection along two axes", "reflect", 18, ir.Shape{2, 4, 9, 6}, 1, 3, 2, 1)
	along.nodes[0].Input = append(along.nodes[0].Input, "", "axes")
	along.tensor = append(along.tensor, onnx.Ints("axes", []int64{2}, []int64{-1, 2}))
	usual := ir.Shape{2, 4, 5, 3}
	return []importedCase{
		{name: "group norm, a scale for each group", opset: 18, out: usual, tensor: affine(2),
			nodes: []*onnx.NodeProto{node("GroupNormalization", "y", norm, onnx.AttrInt("num_groups", 2), onnx.AttrFloat("epsilon", 0.01))}},
		{name: "group norm, a scale for each channel", opset: 21, out: usual, tensor: affine(4),
			nodes: []*onnx.NodeProto{node("GroupNormalization", "y", norm, onnx.AttrInt("num_groups", 2))}},
		{name: "group norm of all channels", opset: 21, out: usual, tensor: affine(4),
			nodes: []*onnx.NodeProto{node("GroupNormalization", "y", norm, onnx.AttrInt("num_groups", 1))}},
		{name: "group norm as older exporters write it", opset: 13, out: usual,
			nodes: []*onnx.NodeProto{
				node("Reshape", "groups", []string{"x", "to_groups"}), node("InstanceNormalization", "normal", []string{"groups", "one", "zero"}, onnx.AttrFloat("epsilon", 0.01)),
				node("Reshape", "back", []string{"normal", "to_channels"}), node("Mul", "scaled", []string{"back", "scale"}), node("Add", "y", []string{"scaled", "shift"})},
			tensor: []*onnx.TensorProto{onnx.Ints("to_groups", []int64{3}, []int64{0, 2, -1}), onnx.Ints("to_channels", []int64{4}, []int64{2, 4, 5, 3}),
				onnx.Floats("one", []int64{2}, []float32{1, 1}), onnx.Floats("zero", []int64{2}, []float32{0, 0}),
				onnx.Floats("scale", []int64{4, 1, 1}, r.normal(1, 0.5, 4).Float32()), onnx.Floats("shift", []int64{4, 1, 1}, r.normal(0, 0.5, 4).Float32())}},
		{name: "instance norm", opset: 13, out: usual, tensor: affine(4),
			nodes: []*onnx.NodeProto{node("InstanceNormalization", "y", norm, onnx.AttrFloat("epsilon", 0.1))}},
		lrn("LRN over three channels", 5, onnx.AttrInt("size", 3), onnx.AttrFloat("alpha", 0.5)),
		lrn("LRN over five, with a large bias", 6, onnx.AttrInt("size", 5), onnx.AttrFloat("alpha", 2), onnx.AttrFloat("beta", 0.5), onnx.AttrFloat("bias", 2)),
		lrn("LRN over more channels than there are", 3, onnx.AttrInt("size", 7), onnx.AttrFloat("alpha", 1), onnx.AttrFloat("beta", 1.5)),
		padded("pad by reflection", "reflect", 13, ir.Shape{2, 4, 10, 6}, 0, 0, 4, 1, 0, 0, 1, 2),
		along,
		padded("pad by the edge", "edge", 13, ir.Shape{2, 5, 13, 5}, 0, 1, 6, 0, 0, 0, 2, 2),
		padded("pad round and round", "wrap", 19, ir.Shape{2, 4, 9, 6}, 0, 0, 3, 2, 0, 0, 1, 1),
		padded("pad by the edge here, cut there", "edge", 13, ir.Shape{2, 4, 6, 2}, 0, 0, 2, -1, 0, 0, -1, 0),
	}
}

// classifier is the file: the operator, then a linear layer of three classes.
func (c importedCase) classifier() (m *onnx.ModelProto, image ir.Shape) {
	if image = c.image; image == nil {
		image = ir.Shape{2, 4, 5, 3}
	}
	features := c.out[1:].Size()
	g := &onnx.GraphProto{
		Name: "g",
		Node: append(c.nodes,
			&onnx.NodeProto{Name: "flat", OpType: "Flatten", Input: []string{"y"}, Output: []string{"f"}},
			&onnx.NodeProto{Name: "fc", OpType: "Gemm", Input: []string{"f", "weight", "bias"}, Output: []string{"logits"},
				Attribute: []*onnx.AttributeProto{onnx.AttrInt("transB", 1)}}),
		Initializer: append(c.tensor,
			onnx.Floats("weight", []int64{3, int64(features)}, seeded(18).normal(0, 0.3, 3, features).Float32()), onnx.Floats("bias", []int64{3}, []float32{1, 0, -1})),
		Input:  []*onnx.ValueInfoProto{declared("x", image)},
		Output: []*onnx.ValueInfoProto{declared("logits", ir.Shape{image[0], 3})},
	}
	return &onnx.ModelProto{IrVersion: 10, OpsetImport: []*onnx.OperatorSetIdProto{{Version: c.opset}}, Graph: g}, image
}

func declared(name string, s ir.Shape) *onnx.ValueInfoProto {
	dims := make([]int64, len(s))
	for i, d := range s {
		dims[i] = int64(d)
	}
	return onnx.TensorInfo(name, onnx.TensorProto_FLOAT, dims)
}

// opened is the file with its weights as inputs, so that they can be moved.
func opened(t *testing.T, file *onnx.ModelProto) session {
	t.Helper()
	g := file.Graph
	var kept []*onnx.TensorProto
	for _, w := range g.Initializer {
		if w.DataType == int32(onnx.TensorProto_FLOAT) {
			g.Input = append(g.Input, onnx.TensorInfo(w.Name, onnx.TensorProto_FLOAT, w.Dims))
		} else {
			kept = append(kept, w)
		}
	}
	g.Initializer = kept
	return open(t, "file", file)
}

// crossEntropy is the mean over the rows of −Σ target·log softmax(logits).
func crossEntropy(logits, targets reference.Tensor) float64 {
	rows, k := logits.Shape[0], logits.Shape[1]
	sum := 0.0
	for i := range rows {
		z, norm := logits.Data[i*k:(i+1)*k], 0.0
		for _, v := range z {
			norm += math.Exp(v)
		}
		for j, v := range z {
			sum -= targets.Data[i*k+j] * (v - math.Log(norm))
		}
	}
	return sum / float64(rows)
}

// TestImportedOperators compares what the importer makes of an operator with
// the operator itself: the logits with those of the file as ONNX Runtime runs
// it, the gradients by the images and by every tensor with differences of the
// file's loss.
func TestImportedOperators(t *testing.T) {
	ortest.Open(t)
	for _, c := range importedCases() {
		t.Run(c.name, func(t *testing.T) {
			file, shape := c.classifier()
			s, err := importer.Parse(proto.Clone(file).(*onnx.ModelProto), "file", "", importer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := s.Model().Resolve(models.Config{Classes: 3, Input: [3]int(shape[1:])})
			if err != nil {
				t.Fatal(err)
			}
			r := seeded(19)
			inputs := map[string]reference.Tensor{"x": r.normal(0, 1, shape...)}
			weights, err := s.Weights(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range weights {
				values, err := w.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				inputs[w.Name] = reference.FromFloat32(w.Shape, values)
			}

			// Ours: logits, loss, and the gradients by all of these inputs.
			g := ir.New("imported")
			src := &nn.Collector{G: g}
			x := g.Input("x", ir.F32(shape...))
			logits := s.Model().Forward(&nn.Builder{G: g, Source: src, Training: true}, x, cfg)
			wrt := slices.Clone(g.Inputs)
			if len(wrt) != len(inputs) {
				t.Fatalf("the network has %d inputs, the file %d", len(wrt), len(inputs))
			}
			targets := g.Input("targets", logits.Type)
			loss := g.One("loss", ir.SoftmaxCrossEntropy{}, logits, targets)
			grads, err := autodiff.Gradients(g, loss, nil, wrt)
			if err != nil {
				t.Fatal(err)
			}
			g.Output("logits", logits)
			g.Output("loss", loss)
			for i, d := range grads {
				g.Output("grad."+wrt[i].Name, d)
			}
			soft := reference.Zeros(logits.Shape)
			for i := range soft.Data {
				soft.Data[i] = [...]float64{0.75, 0.25, 0, 0, 0.5, 0.5}[i]
			}
			theirs := opened(t, file)
			run := func() reference.Tensor {
				out, err := theirs.run(inputs)
				if err != nil {
					t.Fatal(err)
				}
				return out["logits"]
			}
			want := map[string]reference.Tensor{"logits": run()}
			want["loss"] = reference.Scalar(crossEntropy(want["logits"], soft))
			for name, at := range inputs {
				// Half the step takes three quarters of the error off, so that a
				// third of what it changes is left.
				change := func(step float64) reference.Tensor {
					return reference.Difference(func(reference.Tensor) float64 { return crossEntropy(run(), soft) }, at, step)
				}
				coarse, fine := change(0.0625), change(0.03125)
				for i, d := range coarse.Data {
					fine.Data[i] += (fine.Data[i] - d) / 3
				}
				want["grad."+name] = fine
			}
			inputs["targets"] = soft
			got, err := load(t, g, lower.Options{Provider: "cpu"}).run(inputs)
			if err != nil {
				t.Fatal(err)
			}
			for name, w := range want {
				tolerance := 2e-6
				if strings.HasPrefix(name, "grad.") {
					tolerance = 1e-4 // of differences of float32 logits
				}
				if d := reference.Distance(got[name], w); !(d <= tolerance) || largest(w) == 0 {
					t.Errorf("%s is %.2g away from the file's", name, d)
				}
			}
		})
	}
}

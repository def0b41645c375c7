// Package adapter writes small graphs that carry a batch of images, or a
// classifier's answers, from one model's conventions to another's, so that a
// model made by anyone can be used beside ours.
package adapter

import (
	"fmt"
	"slices"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// The names of an adapter's ports.
const (
	In  = "in"
	Out = "out"
)

// Images describes the batches of images that a model takes.
type Images struct {
	// C, H and W are the size of an image.
	C, H, W int
	// Mean and Std normalise each channel: value = (pixel/255 − Mean)/Std. They
	// say nothing where Type is UINT8, which is the pixel itself.
	Mean, Std []float64
	// NHWC puts the channels last; otherwise it is N×C×H×W.
	NHWC bool
	// Type is FLOAT, FLOAT16, DOUBLE or UINT8.
	Type onnx.TensorProto_DataType
}

// Equal reports whether both describe the same batches.
func (a Images) Equal(b Images) bool {
	return a.C == b.C && a.H == b.H && a.W == b.W && a.NHWC == b.NHWC && a.Type == b.Type &&
		slices.Equal(a.Mean, b.Mean) && slices.Equal(a.Std, b.Std)
}

// Convert writes the graph that turns batches of from, which is FLOAT and
// N×C×H×W, into batches of to: a grey image is repeated for three channels, the
// normalisation of one is replaced by the other's, and the image is scaled
// (bilinear, antialiased where it shrinks, as Pillow and torchvision do). The batch is free.
func Convert(from, to Images) (*onnx.ModelProto, error) {
	if from.NHWC || from.Type != onnx.TensorProto_FLOAT {
		return nil, fmt.Errorf("adapter: converts float images N×C×H×W only")
	}
	if from.C != to.C && from.C != 1 {
		return nil, fmt.Errorf("images of %d channels cannot be given to a model of %d", from.C, to.C)
	}
	a, b, err := affine(from, to)
	if err != nil {
		return nil, err
	}
	w := &writer{last: In}
	if from.C != to.C {
		w.then("Expand", w.ints("repeat", 1, int64(to.C), 1, 1))
	}
	if slices.ContainsFunc(a, func(v float32) bool { return v != 1 }) {
		w.then("Mul", w.floats("scale", a))
	}
	if slices.ContainsFunc(b, func(v float32) bool { return v != 0 }) {
		w.then("Add", w.floats("shift", b))
	}
	if from.H != to.H || from.W != to.W {
		n := w.then("Resize", "", "", w.ints("size", int64(to.H), int64(to.W)))
		n.Attribute = append(n.Attribute, onnx.AttrString("mode", "linear"), onnx.AttrString("coordinate_transformation_mode", "half_pixel"),
			onnx.AttrInts("axes", 2, 3))
		if to.H < from.H || to.W < from.W {
			n.Attribute = append(n.Attribute, onnx.AttrInt("antialias", 1), onnx.AttrInt("exclude_outside", 1))
		}
	}
	if to.Type == onnx.TensorProto_UINT8 {
		w.then("Round")
		w.then("Clip", w.scalar("least", 0), w.scalar("most", 255))
	}
	shape := []int64{-1, int64(to.C), int64(to.H), int64(to.W)}
	if to.NHWC {
		n := w.then("Transpose")
		n.Attribute = append(n.Attribute, onnx.AttrInts("perm", 0, 2, 3, 1))
		shape = []int64{-1, int64(to.H), int64(to.W), int64(to.C)}
	}
	if to.Type != onnx.TensorProto_FLOAT {
		w.cast(to.Type)
	}
	return w.model("images",
		onnx.TensorInfo(In, from.Type, []int64{-1, int64(from.C), int64(from.H), int64(from.W)}),
		onnx.TensorInfo(Out, to.Type, shape)), nil
}

// affine returns the factor and summand of each channel: pixel/255 is
// x·std + mean.
func affine(from, to Images) (a, b []float32, err error) {
	for _, i := range []Images{from, to} {
		if i.Type == onnx.TensorProto_UINT8 {
			continue
		}
		if len(i.Mean) != i.C || len(i.Std) != i.C {
			return nil, nil, fmt.Errorf("a mean of %d and a std of %d channels are given for images of %d", len(i.Mean), len(i.Std), i.C)
		}
	}
	for c := range to.C {
		f := c
		if from.C == 1 {
			f = 0
		}
		scale, shift := from.Std[f], from.Mean[f]
		if to.Type == onnx.TensorProto_UINT8 {
			scale, shift = 255*scale, 255*shift
		} else {
			scale, shift = scale/to.Std[c], (shift-to.Mean[c])/to.Std[c]
		}
		a, b = append(a, float32(scale)), append(b, float32(shift))
	}
	return a, b, nil
}

// Float writes the graph that turns a model's answers, N×K of a floating type,
// into float32.
func Float(from onnx.TensorProto_DataType, classes int) *onnx.ModelProto {
	w := &writer{last: In}
	w.cast(onnx.TensorProto_FLOAT)
	shape := []int64{-1, int64(classes)}
	return w.model("answers", onnx.TensorInfo(In, from, shape), onnx.TensorInfo(Out, onnx.TensorProto_FLOAT, shape))
}

// writer chains nodes.
type writer struct {
	nodes []*onnx.NodeProto
	given []*onnx.TensorProto
	last  string
}

// then appends a node that reads the last one's output and more.
func (w *writer) then(op string, more ...string) *onnx.NodeProto {
	out := fmt.Sprintf("%s_%d", op, len(w.nodes))
	n := &onnx.NodeProto{OpType: op, Name: out, Input: append([]string{w.last}, more...), Output: []string{out}}
	w.nodes, w.last = append(w.nodes, n), out
	return n
}

func (w *writer) cast(to onnx.TensorProto_DataType) {
	n := w.then("Cast")
	n.Attribute = append(n.Attribute, onnx.AttrInt("to", int64(to)))
}

func (w *writer) ints(name string, v ...int64) string {
	w.given = append(w.given, onnx.Ints(name, []int64{int64(len(v))}, v))
	return name
}

// floats makes a value for each channel.
func (w *writer) floats(name string, v []float32) string {
	w.given = append(w.given, onnx.Floats(name, []int64{1, int64(len(v)), 1, 1}, v))
	return name
}

func (w *writer) scalar(name string, v float32) string {
	w.given = append(w.given, onnx.Floats(name, nil, []float32{v}))
	return name
}

// opset and irVersion are the oldest that Resize has its axes in.
const (
	opset     = 18
	irVersion = 8
)

func (w *writer) model(name string, in, out *onnx.ValueInfoProto) *onnx.ModelProto {
	if len(w.nodes) == 0 {
		w.then("Identity")
	}
	w.nodes[len(w.nodes)-1].Output[0] = Out
	return &onnx.ModelProto{
		IrVersion: irVersion, ProducerName: "ortrain", OpsetImport: []*onnx.OperatorSetIdProto{{Version: opset}},
		Graph: &onnx.GraphProto{Name: name, Node: w.nodes, Initializer: w.given,
			Input: []*onnx.ValueInfoProto{in}, Output: []*onnx.ValueInfoProto{out}},
	}
}

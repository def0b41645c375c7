package runtime

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/adapter"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/tricks/nearest"
)

// How a teacher's file is understood: its ports, its images, its classes and
// what its numbers are, by what the file says, the recipe says, or a run shows.

func (t *Teacher) prepare(spec TeacherSpec, student Student, o Options) error {
	if err := t.choosePorts(spec); err != nil {
		return err
	}
	info, err := ParseModelInfo(t.model.metadata)
	if err != nil {
		return err
	}
	if len(spec.Classes) > 0 {
		info.ClassNames = spec.Classes
	}
	t.given = adapter.Images{C: student.Image[0], H: student.Image[1], W: student.Image[2],
		Mean: student.Mean, Std: student.Std, Type: onnx.TensorProto_FLOAT}
	if t.taken, err = t.images(spec, info); err != nil {
		return err
	}
	if !t.given.Equal(t.taken) {
		graph, err := adapter.Convert(t.given, t.taken)
		if err != nil {
			return err
		}
		if t.adapter, err = small("the teacher's image adapter", graph, o); err != nil {
			return err
		}
	}
	t.batch = max(0, int(t.input.Shape[0]))
	if err := t.countClasses(); err != nil {
		return err
	}
	if typ := onnx.TensorProto_DataType(t.output.Type); typ != onnx.TensorProto_FLOAT {
		if t.tail, err = small("the teacher's answers", adapter.Float(typ, t.classes), o); err != nil {
			return err
		}
	}
	if t.order, err = classOrder(spec, info.ClassNames, t.classes, student.Classes); err != nil {
		return err
	}
	values := spec.Values
	if values == "" {
		values = info.Output
	}
	if values == "" && t.model.softmax && t.outputAt() == 0 {
		values = OutputProbabilities
	}
	return t.probe(values)
}

// small opens a graph of our own.
func small(name string, m *onnx.ModelProto, o Options) (*Session, error) {
	b, err := onnx.Marshal(m)
	if err != nil {
		return nil, err
	}
	o.Profile, o.OptimizedModel = "", ""
	return NewSessionFromBytes(name, b, o)
}

// choosePorts finds the input and the output.
func (t *Teacher) choosePorts(spec TeacherSpec) error {
	m := t.model
	if len(m.inputs) != 1 {
		return fmt.Errorf("not a classifier: it has the inputs %s; one is expected", strings.Join(portNames(m.inputs), ", "))
	}
	t.input = m.inputs[0]
	at := 0
	switch names := portNames(m.outputs); {
	case spec.Output != "":
		if at = slices.Index(names, spec.Output); at < 0 {
			return fmt.Errorf("it has no output %q%s", spec.Output, nearest.Hint(spec.Output, names))
		}
	case len(names) > 1:
		return &UndeclaredError{Keys: []string{"output"}, Problem: fmt.Sprintf(
			"it has %d outputs, %s; say which one holds the logits", len(names), strings.Join(names, ", "))}
	}
	t.output = m.outputs[at]
	if len(t.input.Shape) != 4 || sizeOf(t.input.Type) == 0 || t.input.Type == Int64 {
		return fmt.Errorf("not an image classifier: its input is %s; a batch of float or uint8 images is expected", t.input)
	}
	if len(t.output.Shape) != 2 && t.output.Ranked || sizeOf(t.output.Type) == 0 || t.output.Type == Uint8 || t.output.Type == Int64 {
		return fmt.Errorf("not a classifier: its output is %s; a float N×K is expected", t.output)
	}
	return nil
}

// images says how the model wants its images.
func (t *Teacher) images(spec TeacherSpec, info ModelInfo) (adapter.Images, error) {
	shape, typ := t.input.Shape, onnx.TensorProto_DataType(t.input.Type)
	channels := func(d int64) bool { return d == 1 || d == 3 }
	nhwc := spec.Layout == "nhwc" || spec.Layout == "" && !channels(shape[1]) && channels(shape[3])
	c, h, w := shape[1], shape[2], shape[3]
	if nhwc {
		c, h, w = shape[3], shape[1], shape[2]
	}
	to := adapter.Images{NHWC: nhwc, Type: typ, Mean: spec.Mean, Std: spec.Std}
	if to.Mean == nil {
		to.Mean, to.Std = wide(info.Mean), wide(info.Std)
	}
	for _, d := range []struct {
		name            string
		declared        int
		fixed           int64
		metadata, given int
		into            *int
	}{
		{"channels", 0, c, info.InputSize[0], max(len(to.Mean), t.given.C), &to.C},
		{"height", spec.Size[0], h, info.InputSize[1], t.given.H, &to.H},
		{"width", spec.Size[1], w, info.InputSize[2], t.given.W, &to.W},
	} {
		switch {
		case d.fixed > 0 && d.declared > 0 && int(d.fixed) != d.declared:
			return to, fmt.Errorf("its input is %s, but size says a %s of %d", t.input, d.name, d.declared)
		case d.fixed > 0:
			*d.into = int(d.fixed)
		case d.declared > 0:
			*d.into = d.declared
		case d.metadata > 0:
			*d.into = d.metadata
		default:
			*d.into = d.given
		}
	}
	switch {
	case to.C != t.given.C && (t.given.C != 1 || to.C != 3):
		return to, fmt.Errorf("it takes images of %d channels (%s), the data has %d; layout may say nchw or nhwc", to.C, t.input, t.given.C)
	case typ == onnx.TensorProto_UINT8:
		to.Mean, to.Std = nil, nil
	case to.Mean == nil:
		return to, &UndeclaredError{Keys: []string{MetaMean, MetaStd}, Problem: "its normalisation is not known: neither its metadata nor the recipe says mean and std"}
	case len(to.Mean) != to.C:
		return to, fmt.Errorf("its mean has %d channels, its images %d", len(to.Mean), to.C)
	}
	return to, nil
}

func wide(v []float32) []float64 {
	if v == nil {
		return nil
	}
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// countClasses reads the number of outputs off the model, or off a run.
func (t *Teacher) countClasses() error {
	if t.output.Ranked && t.output.Shape[1] > 0 {
		t.classes = int(t.output.Shape[1])
		return nil
	}
	if t.output.Type != Float32 {
		return fmt.Errorf("its output %s leaves the number of classes open", t.output)
	}
	n := max(1, t.batch)
	b, err := t.newBuffers(n, false)
	if err != nil {
		return err
	}
	defer b.destroy()
	if err := t.forward(context.Background(), b, make([]float32, n*t.pixels())); err != nil {
		return err
	}
	shape := b.outputs[t.outputAt()].GetShape()
	if len(shape) != 2 || shape[0] != int64(n) || shape[1] < 1 {
		return fmt.Errorf("not a classifier: its output has shape %v for %d images", shape, n)
	}
	t.classes = int(shape[1])
	return nil
}

func (t *Teacher) outputAt() int { return indexOf(t.model.outputs, t.output.Name) }

// pixels is the number of values of an image of the student's.
func (t *Teacher) pixels() int { return t.given.C * t.given.H * t.given.W }

// classOrder finds the output of each of the student's classes; nil where they
// are the model's own.
func classOrder(spec TeacherSpec, names []string, classes int, student []string) ([]int, error) {
	if order := spec.ClassOrder; order != nil {
		if len(order) != len(student) {
			return nil, fmt.Errorf("class_order has %d numbers, the data has %d classes", len(order), len(student))
		}
		if i := slices.IndexFunc(order, func(o int) bool { return o >= classes }); i >= 0 {
			return nil, fmt.Errorf("class_order says output %d, it has the outputs 0 to %d", order[i], classes-1)
		}
		return order, nil
	}
	if names == nil {
		if classes != len(student) {
			return nil, fmt.Errorf("it has %d classes, the data has %d; if those are among them, say which by classes or class_order", classes, len(student))
		}
		return nil, nil
	}
	if len(names) != classes {
		return nil, fmt.Errorf("%d class names are given, its output has %d", len(names), classes)
	}
	if slices.Equal(names, student) {
		return nil, nil
	}
	order := make([]int, len(student))
	for i, name := range student {
		if order[i] = slices.Index(names, name); order[i] < 0 {
			return nil, fmt.Errorf("its classes (%s) lack the data's %q; say the order of its outputs by classes or class_order", few(names), name)
		}
	}
	return order, nil
}

// few shortens a list of names.
func few(names []string) string {
	if len(names) > 4 {
		return fmt.Sprintf("%s, … %s", strings.Join(names[:3], ", "), names[len(names)-1])
	}
	return strings.Join(names, ", ")
}

// probe runs the model on noise, and finds out what its values are.
func (t *Teacher) probe(values string) error {
	n := max(2, t.batch)
	images := make([]float32, n*t.pixels())
	state := uint32(1)
	for i := range images {
		state = state*1664525 + 1013904223
		c := i / (t.given.H * t.given.W) % t.given.C
		images[i] = float32((float64(state>>8)/(1<<24) - t.given.Mean[c]) / t.given.Std[c])
	}
	rows := make([]float32, n*t.classes)
	if err := t.raw(context.Background(), rows, images, n); err != nil {
		return err
	}
	inside, sums := true, true
	for i := range n {
		sum := 0.0
		for _, v := range rows[i*t.classes : (i+1)*t.classes] {
			inside = inside && v >= 0 && v <= 1
			sum += float64(v)
		}
		sums = sums && math.Abs(sum-1) < 1e-2
	}
	switch {
	case values == OutputProbabilities && !inside:
		return fmt.Errorf("values says probabilities, but its output is not within 0 and 1")
	case values == "" && inside && !sums && t.classes > 1:
		return &UndeclaredError{Keys: []string{"values"}, Problem: "its output lies within 0 and 1 but does not sum to 1: say whether values are logits or probabilities"}
	}
	t.probabilities = values == OutputProbabilities || values == "" && inside && sums && t.classes > 1
	return nil
}

package runtime_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// viewer is a model that answers with its images: an input of the given shape
// and type, flattened, is its float32 output.
func viewer(typ onnx.TensorProto_DataType, shape ...int64) ortest.Graph {
	n := int64(1)
	for _, d := range shape[1:] {
		n *= d
	}
	return ortest.Graph{
		Inputs:  []*onnx.ValueInfoProto{onnx.TensorInfo("x", typ, shape)},
		Outputs: []*onnx.ValueInfoProto{ortest.Floats("y", shape[0], n)},
		Nodes: []*onnx.NodeProto{
			ortest.Node("Cast", []string{"x"}, []string{"f"}, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT))),
			ortest.Node("Flatten", []string{"f"}, []string{"y"}),
		},
	}
}

func save(t *testing.T, g ortest.Graph) string {
	t.Helper()
	ortest.Open(t)
	path := filepath.Join(t.TempDir(), "teacher.onnx")
	if err := os.WriteFile(path, g.Bytes(t), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func classNames(n int) []string {
	var names []string
	for i := range n {
		names = append(names, string(rune('a'+i)))
	}
	return names
}

// plainStudent has images in [0,1], unnormalised.
func plainStudent(c, h, w, classes int) runtime.Student {
	return runtime.Student{Image: [3]int{c, h, w}, Mean: make([]float64, c), Std: slices.Repeat([]float64{1}, c), Classes: classNames(classes)}
}

func teach(t *testing.T, g ortest.Graph, spec runtime.TeacherSpec, s runtime.Student) *runtime.Teacher {
	t.Helper()
	spec.File = save(t, g)
	k, err := runtime.NewTeacher(spec, s, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

func answer(t *testing.T, k *runtime.Teacher, classes, n int, images []float32) []float32 {
	t.Helper()
	out := make([]float32, n*classes)
	if err := k.Logits(context.Background(), out, images, n); err != nil {
		t.Fatal(err)
	}
	return out
}

func expect(t *testing.T, what string, got []float32, want ...float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= 1e-5*max(1, math.Abs(w))) {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
	}
}

// TestTeacherImages: what a teacher sees, by teachers that answer with it.
func TestTeacherImages(t *testing.T) {
	logits := runtime.TeacherSpec{Values: "logits", Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}}
	// Two images of 3×1×2, in [0,1].
	images := []float32{0, 0.2, 0.4, 0.6, 0.8, 1, 1, 0.9, 0.7, 0.5, 0.3, 0.1}

	k := teach(t, viewer(onnx.TensorProto_FLOAT, -1, 3, 1, 2), logits, plainStudent(3, 1, 2, 6))
	expect(t, "as they are", answer(t, k, 6, 2, images), 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 0.9, 0.7, 0.5, 0.3, 0.1)

	// N×1×2×3 might be either layout.
	last := logits
	last.Layout = "nhwc"
	k = teach(t, viewer(onnx.TensorProto_FLOAT, -1, 1, 2, 3), last, plainStudent(3, 1, 2, 6))
	expect(t, "channels last", answer(t, k, 6, 1, images[:6]), 0, 0.4, 0.8, 0.2, 0.6, 1)
	// Four rows of five tell the layout by themselves.
	if k = teach(t, viewer(onnx.TensorProto_FLOAT, -1, 4, 5, 3), logits, plainStudent(3, 4, 5, 60)); !strings.Contains(k.String(), "channels last") {
		t.Errorf("the layout of N×4×5×3 is not found out: %s", k)
	}

	normal := plainStudent(3, 1, 2, 6)
	normal.Mean, normal.Std = []float64{0.5, 0.4, 0.3}, []float64{0.25, 0.2, 0.5}
	given := make([]float32, len(images))
	for i, p := range images {
		c := i / 2 % 3
		given[i] = float32((float64(p) - normal.Mean[c]) / normal.Std[c])
	}
	g := viewer(onnx.TensorProto_FLOAT, -1, 3, 1, 2)
	g.Metadata = runtime.ModelInfo{Mean: []float32{0.1, 0.2, 0.3}, Std: []float32{0.5, 0.5, 2}}.Metadata()
	k = teach(t, g, runtime.TeacherSpec{Values: "logits"}, normal)
	expect(t, "normalised by the metadata", answer(t, k, 6, 1, given[:6]), -0.2, 0.2, 0.4, 0.8, 0.25, 0.35)
	k = teach(t, g, runtime.TeacherSpec{Values: "logits", Mean: logits.Mean, Std: logits.Std}, normal)
	expect(t, "the spec goes first", answer(t, k, 6, 1, given[:6]), 0, 0.2, 0.4, 0.6, 0.8, 1)

	k = teach(t, viewer(onnx.TensorProto_UINT8, -1, 1, 2, 3), runtime.TeacherSpec{Values: "logits", Layout: "nhwc"}, normal)
	expect(t, "pixels", answer(t, k, 6, 1, given[:6]), 0, 102, 204, 51, 153, 255)
	for name, typ := range map[string]onnx.TensorProto_DataType{"float16": onnx.TensorProto_FLOAT16, "double": onnx.TensorProto_DOUBLE} {
		k = teach(t, viewer(typ, -1, 3, 1, 2), logits, plainStudent(3, 1, 2, 6))
		expect(t, name, answer(t, k, 6, 1, []float32{0, 0.25, 0.5, 0.75, 1, 0.125}), 0, 0.25, 0.5, 0.75, 1, 0.125)
	}

	k = teach(t, viewer(onnx.TensorProto_FLOAT, -1, 3, 1, 2), logits, plainStudent(1, 1, 2, 6))
	expect(t, "grey for colour", answer(t, k, 6, 1, []float32{0.25, 0.75}), 0.25, 0.75, 0.25, 0.75, 0.25, 0.75)

	grey := runtime.TeacherSpec{Values: "logits", Mean: []float64{0}, Std: []float64{1}}
	k = teach(t, viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 4), grey, plainStudent(1, 1, 2, 4))
	expect(t, "enlarged", answer(t, k, 4, 1, []float32{0, 1}), 0, 0.25, 0.75, 1)
	k = teach(t, viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 2), grey, plainStudent(1, 1, 4, 2))
	// Antialiased: triangles of radius 2 around 1 and 3, clipped at the edge.
	expect(t, "shrunk", answer(t, k, 2, 1, []float32{0, 0, 1, 1}), 1./7, 6./7)
	grey.Size = [2]int{2, 2}
	open := viewer(onnx.TensorProto_FLOAT, -1, 1, 2, 2)
	open.Inputs[0] = ortest.Floats("x", -1, 1, -1, -1)
	k = teach(t, open, grey, plainStudent(1, 1, 1, 4))
	expect(t, "the size is the spec's where the shape leaves it open", answer(t, k, 4, 1, []float32{0.5}), 0.5, 0.5, 0.5, 0.5)
}

// TestTeacherBatches: models of a fixed batch of any size answer as free ones.
func TestTeacherBatches(t *testing.T) {
	spec := runtime.TeacherSpec{Values: "logits", Mean: []float64{0}, Std: []float64{1}}
	var images []float32
	var want []float64
	for i := range 14 {
		images = append(images, float32(i))
		want = append(want, float64(i))
	}
	for _, batch := range []int64{-1, 1, 2, 3, 7, 20} {
		k := teach(t, viewer(onnx.TensorProto_FLOAT, batch, 1, 1, 2), spec, plainStudent(1, 1, 2, 2))
		for _, n := range []int{7, 1, 3, 2, 5, 4, 6} {
			expect(t, "batch", answer(t, k, 2, n, images[:2*n]), want[:2*n]...)
		}
	}
}

// answering is a model whose answers are the first values of its image, with
// more nodes behind.
func answering(outputs []*onnx.ValueInfoProto, nodes ...*onnx.NodeProto) ortest.Graph {
	g := viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 3)
	g.Outputs = outputs
	g.Nodes = append(g.Nodes, nodes...)
	return g
}

func TestTeacherAnswers(t *testing.T) {
	spec := runtime.TeacherSpec{Mean: []float64{0}, Std: []float64{1}}
	student := plainStudent(1, 1, 3, 3)
	images := []float32{float32(math.Log(0.2)), float32(math.Log(0.3)), float32(math.Log(0.5))}
	softmax := ortest.Node("Softmax", []string{"y"}, []string{"p"}, onnx.AttrInt("axis", -1))
	// A name that does not tell, so that the numbers have to.
	hidden := ortest.Node("Mul", []string{"p", "one"}, []string{"q"})
	g := answering([]*onnx.ValueInfoProto{ortest.Floats("q", -1, 3)}, softmax, hidden)
	g.Initializers = []*onnx.TensorProto{onnx.Floats("one", nil, []float32{1})}
	for _, g := range []ortest.Graph{g, answering([]*onnx.ValueInfoProto{ortest.Floats("p", -1, -1)}, softmax)} {
		k := teach(t, g, spec, student)
		if !k.Probabilities() {
			t.Error("probabilities are taken for logits")
		}
		expect(t, "logarithms of probabilities", answer(t, k, 3, 1, images), math.Log(0.2), math.Log(0.3), math.Log(0.5))
		out := answer(t, k, 3, 1, []float32{1000, 0, 0})
		if out[0] != 0 || !(out[1] < -20) || math.IsInf(float64(out[1]), 0) {
			t.Errorf("certainty gives %v", out)
		}
	}
	half := ortest.Node("Cast", []string{"y"}, []string{"h"}, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT16)))
	k := teach(t, answering([]*onnx.ValueInfoProto{onnx.TensorInfo("h", onnx.TensorProto_FLOAT16, []int64{-1, 3})}, half),
		runtime.TeacherSpec{Mean: []float64{0}, Std: []float64{1}, Values: "logits"}, student)
	expect(t, "float16 answers", answer(t, k, 3, 2, []float32{1, -2, 0.5, 4, 5, 6}), 1, -2, 0.5, 4, 5, 6)

	double := ortest.Node("Add", []string{"y", "y"}, []string{"z"})
	two := answering([]*onnx.ValueInfoProto{ortest.Floats("y", -1, 3), ortest.Floats("z", -1, 3)}, double)
	k = teach(t, two, runtime.TeacherSpec{Mean: spec.Mean, Std: spec.Std, Values: "logits", Output: "z"}, student)
	expect(t, "the second output", answer(t, k, 3, 1, []float32{1, 2, 3}), 2, 4, 6)

	// Order of classes: by names, by numbers, a part of them.
	logits := runtime.TeacherSpec{Mean: spec.Mean, Std: spec.Std, Values: "logits"}
	byNames, byNumbers := logits, logits
	byNames.Classes, byNumbers.ClassOrder = []string{"c", "a", "b"}, []int{1, 2, 0}
	named := viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 3)
	named.Metadata = runtime.ModelInfo{ClassNames: []string{"c", "a", "b"}}.Metadata()
	for what, k := range map[string]*runtime.Teacher{
		"names":    teach(t, viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 3), byNames, student),
		"metadata": teach(t, named, logits, student),
		"numbers":  teach(t, viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 3), byNumbers, student),
	} {
		expect(t, what, answer(t, k, 3, 2, []float32{30, 10, 20, 3, 1, 2}), 10, 20, 30, 1, 2, 3)
	}
	few := runtime.Student{Image: student.Image, Mean: student.Mean, Std: student.Std, Classes: []string{"b", "c"}}
	expect(t, "a part", answer(t, teach(t, named, logits, few), 2, 1, []float32{30, 10, 20}), 20, 30)
}

// TestTeacherMisfits: what does not fit says so, naming the file.
func TestTeacherMisfits(t *testing.T) {
	norm := runtime.TeacherSpec{Mean: []float64{0}, Std: []float64{1}, Values: "logits"}
	spec := func(change func(*runtime.TeacherSpec)) runtime.TeacherSpec {
		s := norm
		change(&s)
		return s
	}
	good := viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 3)
	named := viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 3)
	named.Metadata = runtime.ModelInfo{ClassNames: []string{"x", "y", "z"}}.Metadata()
	two := answering([]*onnx.ValueInfoProto{ortest.Floats("y", -1, 3), ortest.Floats("z", -1, 3)}, ortest.Node("Neg", []string{"y"}, []string{"z"}))
	inputs := viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 3)
	inputs.Inputs = append(inputs.Inputs, ortest.Floats("training", 1))
	nan := answering([]*onnx.ValueInfoProto{ortest.Floats("z", -1, 3)}, ortest.Node("Log", []string{"neg"}, []string{"z"}))
	nan.Nodes = append(nan.Nodes[:2], ortest.Node("Neg", []string{"y"}, []string{"neg"}), nan.Nodes[2])
	sigmoid := answering([]*onnx.ValueInfoProto{ortest.Floats("z", -1, 3)}, ortest.Node("Sigmoid", []string{"y"}, []string{"z"}))
	for _, c := range []struct {
		name    string
		graph   ortest.Graph
		spec    runtime.TeacherSpec
		student runtime.Student
		want    string
	}{
		{"classes", good, norm, plainStudent(1, 1, 3, 4), "it has 3 classes, the data has 4"},
		{"other classes", named, norm, plainStudent(1, 1, 3, 3), `its classes (x, y, z) lack the data's "a"`},
		{"names", good, spec(func(s *runtime.TeacherSpec) { s.Classes = []string{"a", "b"} }), plainStudent(1, 1, 3, 3), "2 class names are given, its output has 3"},
		{"order's length", good, spec(func(s *runtime.TeacherSpec) { s.ClassOrder = []int{0, 1} }), plainStudent(1, 1, 3, 3), "class_order has 2 numbers, the data has 3 classes"},
		{"order's range", good, spec(func(s *runtime.TeacherSpec) { s.ClassOrder = []int{0, 1, 3} }), plainStudent(1, 1, 3, 3), "class_order says output 3, it has the outputs 0 to 2"},
		{"channels", viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 3), norm, plainStudent(3, 1, 3, 3), "it takes images of 1 channels (x float[N,1,1,3]), the data has 3"},
		{"size", good, spec(func(s *runtime.TeacherSpec) { s.Size = [2]int{1, 4} }), plainStudent(1, 1, 3, 3), "size says a width of 4"},
		{"mean", good, spec(func(s *runtime.TeacherSpec) { s.Mean, s.Std = []float64{0, 0, 0}, []float64{1, 1, 1} }), plainStudent(1, 1, 3, 3), "its mean has 3 channels, its images 1"},
		{"no mean", good, runtime.TeacherSpec{}, plainStudent(1, 1, 3, 3), "its normalisation is not known"},
		{"two outputs", two, norm, plainStudent(1, 1, 3, 3), "it has 2 outputs, y, z; say which one holds the logits"},
		{"unknown output", two, spec(func(s *runtime.TeacherSpec) { s.Output = "zz" }), plainStudent(1, 1, 3, 3), `no output "zz"; did you mean "z"?`},
		{"two inputs", inputs, norm, plainStudent(1, 1, 3, 3), "it has the inputs x, training"},
		{"not a number", nan, norm, plainStudent(1, 1, 3, 3), "answers NaN"},
		{"sigmoid", sigmoid, runtime.TeacherSpec{Mean: norm.Mean, Std: norm.Std}, plainStudent(1, 1, 3, 3), "does not sum to 1"},
		{"no probabilities", good, runtime.TeacherSpec{Mean: []float64{0.5}, Std: norm.Std, Values: "probabilities"}, plainStudent(1, 1, 3, 3), "not within 0 and 1"},
	} {
		c.spec.File = save(t, c.graph)
		k, err := runtime.NewTeacher(c.spec, c.student, runtime.Options{Threads: 1})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.spec.File) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err == nil {
			k.Close()
		}
	}
	var undeclared *runtime.UndeclaredError
	if _, err := runtime.NewTeacher(runtime.TeacherSpec{File: save(t, two)}, plainStudent(1, 1, 3, 3), runtime.Options{}); !errors.As(err, &undeclared) || undeclared.Keys[0] != "output" {
		t.Errorf("two outputs: %v", err)
	}
}

// TestEnsemble averages by hand.
func TestEnsemble(t *testing.T) {
	spec := runtime.TeacherSpec{Mean: []float64{0}, Std: []float64{1}, Values: "logits"}
	student := plainStudent(1, 1, 3, 3)
	neg := answering([]*onnx.ValueInfoProto{ortest.Floats("z", -1, 3)}, ortest.Node("Neg", []string{"y"}, []string{"z"}))
	make3 := func(ofProbabilities bool) *runtime.Ensemble {
		e, err := runtime.NewEnsemble([]*runtime.Teacher{
			teach(t, viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 3), spec, student), teach(t, neg, spec, student),
			teach(t, viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 3), spec, student)}, []float64{3, 1, 0}, ofProbabilities, 3)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	images := []float32{0, 2, 4, 1, 1, 1}
	for _, ofProbabilities := range []bool{false, true} {
		e := make3(ofProbabilities)
		if e.Row() != 6 {
			t.Fatalf("rows of %d: a teacher without weight is asked", e.Row())
		}
		answers, logits := make([]float32, 12), make([]float32, 6)
		if err := e.Answer(context.Background(), answers, images, 2); err != nil {
			t.Fatal(err)
		}
		expect(t, "answers", answers, 0, 2, 4, 0, -2, -4, 1, 1, 1, -1, -1, -1)
		e.Combine(logits, answers, 2)
		if !ofProbabilities {
			expect(t, "mean of logits", logits, 0, 1, 2, 0.5, 0.5, 0.5)
			continue
		}
		z := 1 + math.E + math.E*math.E
		var want []float64
		for j := range 3 {
			want = append(want, 2*math.Log(0.75*math.Exp(float64(j))/z+0.25*math.Exp(float64(2-j))/z))
		}
		third := 2 * math.Log(1./3)
		expect(t, "mean of probabilities at T = 2", logits, append(want, third, third, third)...)
	}
	if _, err := runtime.NewEnsemble(nil, nil, true, 3); err == nil {
		t.Error("an empty ensemble was made")
	}
	if _, err := runtime.NewEnsemble(make([]*runtime.Teacher, 1), []float64{-1}, true, 3); err == nil {
		t.Error("a negative weight was accepted")
	}
}

// TestTeacherEndsEarly: a context that is done ends the run with its error.
func TestTeacherEndsEarly(t *testing.T) {
	k := teach(t, viewer(onnx.TensorProto_FLOAT, -1, 1, 1, 3), runtime.TeacherSpec{Mean: []float64{0}, Std: []float64{1}, Values: "logits"}, plainStudent(1, 1, 3, 3))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := k.Logits(ctx, make([]float32, 3), make([]float32, 3), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

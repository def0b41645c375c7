package runtime_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// brightness classifies pixels of any size: the logits are the channels' means.
func brightness(batch int64) ortest.Graph {
	return ortest.Graph{
		Inputs:  []*onnx.ValueInfoProto{onnx.TensorInfo("pixels", onnx.TensorProto_UINT8, []int64{batch, -1, -1, 3})},
		Outputs: []*onnx.ValueInfoProto{ortest.Floats("scores", batch, -1)},
		Nodes: []*onnx.NodeProto{
			ortest.Node("Cast", []string{"pixels"}, []string{"float"}, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT))),
			ortest.Node("ReduceMean", []string{"float"}, []string{"scores"}, onnx.AttrInts("axes", 1, 2), onnx.AttrInt("keepdims", 0)),
		},
	}
}

func TestClassifierOfPixels(t *testing.T) {
	for _, batch := range []int64{-1, 2} {
		c := classifier(t, brightness(batch))
		if !c.TakesPixels() || c.Image() != [3]int{3, 0, 0} || c.Classes() != 3 {
			t.Errorf("pixels %v, %v images, %d classes", c.TakesPixels(), c.Image(), c.Classes())
		}
		// Three images of 1×2 pixels.
		pixels := []uint8{10, 20, 30, 20, 40, 60, 1, 1, 1, 1, 1, 1, 0, 255, 7, 0, 255, 9}
		a, err := c.AnswerPixels(t.Context(), pixels, 3, 1, 2)
		want := []float32{15, 30, 45, 1, 1, 1, 0, 255, 8}
		if err != nil || !slices.Equal(a.Values, want) || a.Columns != 3 || a.Classes != nil || a.Probabilities {
			t.Errorf("batch %d: %+v, %v; want %v", batch, a, err, want)
		}
		if _, err := c.AnswerPixels(t.Context(), pixels, 3, 2, 2); err == nil || !strings.Contains(err.Error(), "18 values given for 3 images of 2×2×3 pixels") {
			t.Errorf("the wrong size: %v", err)
		}
		if _, err := c.Answer(t.Context(), make([]float32, 3), 1); err == nil || !strings.Contains(err.Error(), "its input is pixels") {
			t.Errorf("planes: %v", err)
		}
		if _, err := c.Logits(make([]float32, 3), 1); err == nil || !strings.Contains(err.Error(), "its input is pixels") {
			t.Errorf("planes: %v", err)
		}
	}
	if _, err := classifier(t, plane(-1, nil)).AnswerPixels(t.Context(), make([]uint8, 4), 1, 2, 2); err == nil {
		t.Error("pixels were given to a model that takes planes")
	}
}

// headed is plane with more operators behind its scores.
func headed(batch int64, nodes []*onnx.NodeProto, outputs ...*onnx.ValueInfoProto) ortest.Graph {
	g := plane(batch, nil)
	g.Nodes = append(g.Nodes, nodes...)
	g.Outputs = outputs
	g.Initializers = append(g.Initializers, onnx.Ints("two", []int64{1}, []int64{2}))
	return g
}

func softmaxNode() *onnx.NodeProto {
	return ortest.Node("Softmax", []string{"scores"}, []string{"p"}, onnx.AttrInt("axis", -1))
}

func TestClassifierOfProbabilities(t *testing.T) {
	images := []float32{0, 0, float32(math.Log(2)), 9, 1000, 0, 0, 9}
	want := []float32{0.25, 0.25, 0.5, 1, 0, 0}
	for _, batch := range []int64{-1, 3} {
		c := classifier(t, headed(batch, []*onnx.NodeProto{softmaxNode()}, ortest.Floats("p", batch, 3)))
		a, err := c.Answer(t.Context(), images, 2)
		if err != nil || !a.Probabilities || !near(a.Values, want, 1e-6) {
			t.Errorf("%+v, %v", a, err)
		}
		logits, err := c.Logits(images, 2)
		if err != nil || len(logits) != 6 || math.Abs(float64(logits[2]-logits[0])-math.Log(2)) > 1e-6 || !(logits[4] > -200 && logits[4] < -80) {
			t.Errorf("logits %v, %v", logits, err)
		}
	}
}

func TestClassifierOfTheBestClasses(t *testing.T) {
	images := []float32{1, 3, 2, 9, 5, 4, 6, 9, 0, -1, -2, 9}
	for _, batch := range []int64{-1, 2} {
		for _, softmax := range []bool{false, true} {
			nodes := []*onnx.NodeProto{softmaxNode(), ortest.Node("TopK", []string{"scores", "two"}, []string{"best", "which"})}
			if softmax {
				nodes[1].Input[0] = "p"
			}
			c := classifier(t, headed(batch, nodes, ortest.Floats("best", batch, 2), onnx.TensorInfo("which", onnx.TensorProto_INT64, []int64{batch, 2})))
			a, err := c.Answer(t.Context(), images, 3)
			if err != nil || a.Probabilities != softmax || a.Columns != 2 || !slices.Equal(a.Classes, []int64{1, 2, 2, 0, 0, 1}) {
				t.Errorf("%+v, %v", a, err)
			}
			if !softmax && !slices.Equal(a.Values, []float32{3, 2, 6, 5, 0, -1}) {
				t.Errorf("values %v", a.Values)
			}
			if _, err := c.Logits(images, 3); err == nil || !strings.Contains(err.Error(), "best 2 classes only") {
				t.Errorf("logits: %v", err)
			}
			if c.Classes() != 0 {
				t.Errorf("%d classes; the file does not tell", c.Classes())
			}
		}
	}
}

// TestClassifierOfHalves: float16 ports are converted on the way.
func TestClassifierOfHalves(t *testing.T) {
	for _, batch := range []int64{-1, 2} {
		g := plane(batch, nil)
		g.Inputs[0] = onnx.TensorInfo("pixels", onnx.TensorProto_FLOAT16, []int64{batch, 1, 2, 2})
		g.Outputs[0] = onnx.TensorInfo("scores", onnx.TensorProto_FLOAT16, []int64{batch, 3})
		g.Nodes = []*onnx.NodeProto{
			ortest.Node("Cast", []string{"pixels"}, []string{"wide"}, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT))),
			ortest.Node("Flatten", []string{"wide"}, []string{"flat"}),
			ortest.Node("MatMul", []string{"flat", "w"}, []string{"sum"}),
			ortest.Node("Cast", []string{"sum"}, []string{"scores"}, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT16))),
		}
		c := classifier(t, g)
		got, err := c.Logits([]float32{1, -2, 0.333251953125, 9, 65504, 6e-8, 0, 9, 7, 8, 9, 9}, 3)
		if want := []float32{1, -2, 0.333251953125, 65504, 5.9604645e-08, 0, 7, 8, 9}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
}

func near(got, want []float32, within float64) bool {
	return slices.EqualFunc(got, want, func(a, b float32) bool { return math.Abs(float64(a-b)) <= within })
}

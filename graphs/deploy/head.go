package deploy

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// Softmax replaces the logits, the model's one output N×K, by Probabilities.
func Softmax(m *onnx.ModelProto) (*onnx.ModelProto, error) {
	e, err := begin(m)
	if err != nil {
		return nil, fmt.Errorf("softmax: %w", err)
	}
	logits, classes, err := e.classOutput()
	if err != nil {
		return nil, fmt.Errorf("softmax: %w", err)
	}
	e.graph.Node = append(e.graph.Node, node("Softmax", []string{logits}, []string{Probabilities}, onnx.AttrInt("axis", -1)))
	e.graph.Output = []*onnx.ValueInfoProto{onnx.TensorInfo(Probabilities, onnx.TensorProto_FLOAT, []int64{-1, classes})}
	return e.finish(), nil
}

// TopK replaces the model's one output N×K, logits or probabilities, by its k
// largest values of each row, in order, as TopScores, and their classes as
// TopClasses. It fails if the model is known to have fewer than k classes.
func TopK(m *onnx.ModelProto, k int) (*onnx.ModelProto, error) {
	e, err := begin(m)
	if err != nil {
		return nil, fmt.Errorf("top-k: %w", err)
	}
	scores, classes, err := e.classOutput()
	if err != nil {
		return nil, fmt.Errorf("top-k: %w", err)
	}
	if k < 1 || classes >= 0 && int64(k) > classes {
		return nil, fmt.Errorf("top-k: cannot take the best %d of %d classes; give 1 to %d", k, classes, classes)
	}
	count := e.constant(onnx.Ints("top_k", []int64{1}, []int64{int64(k)}))
	e.graph.Node = append(e.graph.Node, node("TopK", []string{scores, count}, []string{TopScores, TopClasses},
		onnx.AttrInt("axis", -1), onnx.AttrInt("largest", 1), onnx.AttrInt("sorted", 1)))
	e.graph.Output = []*onnx.ValueInfoProto{
		onnx.TensorInfo(TopScores, onnx.TensorProto_FLOAT, []int64{-1, int64(k)}),
		onnx.TensorInfo(TopClasses, onnx.TensorProto_INT64, []int64{-1, int64(k)})}
	return e.finish(), nil
}

// classOutput returns the one output of a classifier and its number of classes,
// −1 if the model leaves it open. The names that the heads add must be free.
func (e *edit) classOutput() (name string, classes int64, err error) {
	if len(e.graph.Output) != 1 {
		return "", 0, fmt.Errorf("the model has %d outputs; a classifier with one is needed", len(e.graph.Output))
	}
	out := e.graph.Output[0]
	t := out.GetType().GetTensorType()
	if t == nil || t.GetElemType() != int32(onnx.TensorProto_FLOAT) {
		return "", 0, fmt.Errorf("output %q is not float; heads are computed in float32", out.GetName())
	}
	classes = -1
	if d := t.GetShape().GetDim(); len(d) == 2 {
		if v := d[1].GetDimValue(); v > 0 {
			classes = v
		}
	} else if d != nil {
		return "", 0, fmt.Errorf("output %q has %d dimensions; N×K is needed", out.GetName(), len(d))
	}
	for _, taken := range []string{Probabilities, TopScores, TopClasses} {
		if e.taken[taken] && taken != out.GetName() {
			return "", 0, fmt.Errorf("the name %q is taken in the model", taken)
		}
	}
	return out.GetName(), classes, nil
}

package lower

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// Repeat wraps a model into an ONNX Loop that runs it several times in one go:
// state stays where it is computed and need not cross a bus in between.
//
// carried maps inputs to outputs: what a repetition writes to the output is
// what the next one reads from the input. They keep their names and shapes, and
// hold the state before the first and after the last repetition. Every other
// input and output gets a first dimension of one element a repetition. The
// input named steps, int64 [1], is the number of repetitions.
//
// m is not changed.
func Repeat(m *onnx.ModelProto, carried map[string]string, steps string) (*onnx.ModelProto, error) {
	out := proto.Clone(m).(*onnx.ModelProto)
	body := out.Graph
	g := &onnx.GraphProto{Name: body.Name + "s"}
	out.Graph = g

	// The names of inputs and outputs belong to the outer graph, whose values
	// the body sees and must not hide.
	inner := map[string]string{}
	for _, v := range append(append([]*onnx.ValueInfoProto(nil), body.Input...), body.Output...) {
		inner[v.Name] = "step/" + v.Name
	}
	for _, n := range body.Node {
		rename(n.Input, inner)
		rename(n.Output, inner)
	}

	const counter, goOn, goOnOut = "step/number", "step/continue", "step/continue_out"
	number := onnx.TensorInfo(counter, onnx.TensorProto_INT64, nil)
	condition := func(name string) *onnx.ValueInfoProto {
		return onnx.TensorInfo(name, onnx.TensorProto_BOOL, nil)
	}
	loop := &onnx.NodeProto{Name: "steps", OpType: "Loop", Input: []string{steps, ""}}
	inputs := []*onnx.ValueInfoProto{number, condition(goOn)}
	outputs := []*onnx.ValueInfoProto{condition(goOnOut)}
	nodes := []*onnx.NodeProto{{Name: "n/" + goOnOut, OpType: "Identity", Input: []string{goOn}, Output: []string{goOnOut}}}

	results := map[string]*onnx.ValueInfoProto{}
	for _, v := range body.Output {
		results[v.Name] = v
	}
	isState := map[string]bool{}
	g.Input = append(g.Input, onnx.TensorInfo(steps, onnx.TensorProto_INT64, []int64{1}))
	for _, v := range body.Input {
		result, state := carried[v.Name]
		if !state {
			g.Input = append(g.Input, stacked(v, steps))
			nodes = append(nodes, &onnx.NodeProto{Name: "n/step/" + v.Name, OpType: "Gather",
				Input: []string{v.Name, counter}, Output: []string{inner[v.Name]}})
			continue
		}
		r := results[result]
		if r == nil {
			return nil, fmt.Errorf("lower: state %s has no output %s", v.Name, result)
		}
		isState[result] = true
		g.Input = append(g.Input, v)
		g.Output = append(g.Output, r)
		loop.Input = append(loop.Input, v.Name)
		loop.Output = append(loop.Output, r.Name)
		inputs = append(inputs, named(v, inner[v.Name]))
		outputs = append(outputs, named(r, inner[r.Name]))
	}
	for _, v := range body.Output {
		if isState[v.Name] {
			continue
		}
		g.Output = append(g.Output, stacked(v, steps))
		loop.Output = append(loop.Output, v.Name)
		outputs = append(outputs, named(v, inner[v.Name]))
	}
	body.Name = body.Name + "_body"
	body.Input, body.Output = inputs, outputs
	body.Node = append(nodes, body.Node...)
	loop.Attribute = []*onnx.AttributeProto{{Name: "body", Type: onnx.AttributeProto_GRAPH, G: body}}
	g.Node = []*onnx.NodeProto{loop}
	return out, nil
}

func rename(names []string, to map[string]string) {
	for i, name := range names {
		if n, ok := to[name]; ok {
			names[i] = n
		}
	}
}

func named(v *onnx.ValueInfoProto, name string) *onnx.ValueInfoProto {
	c := proto.Clone(v).(*onnx.ValueInfoProto)
	c.Name = name
	return c
}

// stacked declares one v for every repetition, steps of them.
func stacked(v *onnx.ValueInfoProto, steps string) *onnx.ValueInfoProto {
	t := v.GetType().GetTensorType()
	dims := []int64{-1}
	for _, d := range t.GetShape().GetDim() {
		dims = append(dims, d.GetDimValue())
	}
	s := onnx.TensorInfo(v.Name, onnx.TensorProto_DataType(t.GetElemType()), dims)
	s.GetType().GetTensorType().Shape.Dim[0].Value = &onnx.TensorShapeProto_Dimension_DimParam{DimParam: steps}
	return s
}

package primitives

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// asDevice rewrites a model, in place, so that the CPU rounds as a device with
// float16 kernels does: every node that reads float16 gets float32 copies, and
// what it writes is rounded. Left to itself the CPU provider computes a chain of
// such nodes in float32 throughout.
func asDevice(m *onnx.ModelProto) {
	const float16 = int32(onnx.TensorProto_FLOAT16)
	half := map[string]bool{}
	for _, t := range m.Graph.Initializer {
		half[t.GetName()] = t.GetDataType() == float16
	}
	cast := func(from, to string, d onnx.TensorProto_DataType) *onnx.NodeProto {
		return &onnx.NodeProto{Name: "device/" + to, OpType: "Cast", Input: []string{from}, Output: []string{to},
			Attribute: []*onnx.AttributeProto{onnx.AttrInt("to", int64(d))}}
	}
	var nodes []*onnx.NodeProto
	for _, n := range m.Graph.Node {
		reads := slices.ContainsFunc(n.Input, func(name string) bool { return half[name] })
		switch n.OpType {
		case "Cast":
			half[n.Output[0]] = n.Attribute[0].GetI() == int64(float16)
			reads = false
		case "ConstantOfShape":
			half[n.Output[0]] = n.Attribute[0].GetT().GetDataType() == float16
		}
		if !reads {
			nodes = append(nodes, n)
			continue
		}
		for i, name := range n.Input {
			if half[name] {
				n.Input[i] = n.Output[0] + "/in" + string(rune('0'+i)) + "/" + name
				nodes = append(nodes, cast(name, n.Input[i], onnx.TensorProto_FLOAT))
			}
		}
		nodes = append(nodes, n)
		for i, name := range n.Output {
			switch {
			case name == "", i > 0 && n.OpType == "MaxPool", slices.Contains([]string{"Greater", "Less", "LessOrEqual", "Equal", "Shape"}, n.OpType):
				continue
			}
			half[name] = true
			n.Output[i] = name + "/exact"
			nodes = append(nodes, cast(n.Output[i], name, onnx.TensorProto_FLOAT16))
		}
	}
	m.Graph.Node = nodes
}

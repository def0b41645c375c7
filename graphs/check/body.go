package check

import (
	"google.golang.org/protobuf/proto"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// bodies takes the graphs that nodes hold (a Loop's body) out of a model, since
// onnx-go knows no such attributes, and returns each as a model of its own. What
// a body reads of the graph around it becomes its input, and an input of the
// node that held it.
func bodies(b []byte) (outer []byte, inner [][]byte, err error) {
	m, err := onnx.Unmarshal(b)
	if err != nil {
		return b, nil, nil // for onnx-go to judge
	}
	for _, n := range m.GetGraph().GetNode() {
		kept := n.Attribute[:0]
		for _, a := range n.Attribute {
			if a.GetG() == nil {
				kept = append(kept, a)
				continue
			}
			body := a.GetG()
			for _, name := range free(body) {
				n.Input = append(n.Input, name)
				body.Input = append(body.Input, &onnx.ValueInfoProto{Name: name})
				for _, v := range m.Graph.Input {
					if v.Name == name {
						body.Input[len(body.Input)-1] = v
					}
				}
			}
			whole, err := proto.Marshal(&onnx.ModelProto{IrVersion: m.IrVersion, OpsetImport: m.OpsetImport, Graph: body})
			if err != nil {
				return nil, nil, err
			}
			inner = append(inner, whole)
		}
		n.Attribute = kept
	}
	if inner == nil {
		return b, nil, nil
	}
	outer, err = proto.Marshal(m)
	return outer, inner, err
}

// free lists what a graph reads and neither has nor makes.
func free(g *onnx.GraphProto) []string {
	known := map[string]bool{"": true}
	for _, v := range g.Input {
		known[v.Name] = true
	}
	for _, t := range g.Initializer {
		known[t.Name] = true
	}
	for _, n := range g.Node {
		for _, name := range n.Output {
			known[name] = true
		}
	}
	var names []string
	for _, n := range g.Node {
		for _, name := range n.Input {
			if !known[name] {
				known[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

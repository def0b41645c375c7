package lower

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// # Choice by measurement
//
// The cost rules rank forms by what was measured on the developers' machines.
// Options.Choices overrules them for a node with what was measured on the
// user's: Tunable lists the nodes of a graph that are worth it, Candidates the
// forms of one, and Probe makes a model of a node in one form, to be timed.

// tunable lists the kinds whose forms differ enough to be timed, by provider.
var tunable = map[string][]string{
	CPU:  {"Conv", "ConvGradInput", "ConvGradWeight", "BatchNormGrad", "MaxPoolGrad"},
	CUDA: {"ConvGradInput", "ConvGradWeight", "BatchNormTrain", "BatchNormGrad", "MaxPoolGrad", "ReluGrad", "AvgPoolGrad"},
}

// Key names what the speed of a node's forms depends on besides the machine:
// the operator with its attributes and the shapes of its inputs.
func Key(n *ir.Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%v", n.Op.Kind(), n.Op)
	for _, v := range n.In {
		fmt.Fprintf(&b, " %v", v.Shape)
		if v.DType != ir.Float32 {
			fmt.Fprintf(&b, " %v", v.DType)
		}
	}
	return b.String()
}

// Tunable returns one node for each distinct key of g that has forms to choose
// from under the options' provider, in order.
func Tunable(g *ir.Graph, o Options) []*ir.Node {
	kinds := tunable[cmp.Or(o.Provider, CPU)]
	seen := map[string]bool{}
	var nodes []*ir.Node
	for _, n := range g.Nodes {
		if k := Key(n); slices.Contains(kinds, n.Op.Kind()) && !seen[k] {
			seen[k] = true
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Candidates returns the forms of n that apply under o, the one that the cost
// rule would take first.
func Candidates(n *ir.Node, o Options) []string {
	var names []string
	for _, f := range ranked(n, o) {
		if _, err := Probe(n, f.name, o); err == nil {
			names = append(names, f.name)
		}
	}
	return names
}

// Probe returns a model that computes n alone in one form. Its inputs are those
// of n; where o allows blocks and a map has them, it comes and goes in blocks,
// as it does inside a step, so that a form in plain layout pays for the
// reordering. The error wraps ErrForm if the form does not apply.
func Probe(n *ir.Node, form string, o Options) (*onnx.ModelProto, error) {
	g := ir.New("probe")
	in := make([]*ir.Value, len(n.In))
	for i, v := range n.In {
		in[i] = g.Input(fmt.Sprintf("in%d", i), v.Type)
	}
	node := g.Apply("node", n.Op, in...)[0].Node
	o.Forms = map[string]string{n.Op.Kind(): form}
	o.Choices = nil
	e := newEmitter(g, o)
	for _, v := range in {
		if e.blockable(v) && isMap(n, v, in) {
			delete(e.plain, v)
			e.blocked[v] = v.Name
		}
	}
	if err := e.lowerNode(node); err != nil {
		return nil, err
	}
	for i, v := range node.Out {
		name := fmt.Sprintf("out%d", i)
		have := ""
		if e.blockable(v) && n.Op.Kind() != "ConvGradWeight" {
			have = e.blk(v)
		} else {
			have = e.in(v)
		}
		e.emit("Identity", []string{have}, []string{name})
		e.graph.Output = append(e.graph.Output, onnx.TensorInfo(name, elem(v.DType), dims(v.Shape)))
	}
	for _, v := range in {
		e.graph.Input = append(e.graph.Input, onnx.TensorInfo(v.Name, elem(v.DType), dims(v.Shape)))
	}
	return e.model(), nil
}

// Trips names the input of ProbeLoop's model that says how often the node is
// computed: int64, one element.
const Trips = "trips"

// ProbeLoop is Probe for a device with a memory of its own: the node in a loop,
// so that a run can do it often while its inputs cross the bus once. The
// model's only output is one element of the node's last result.
func ProbeLoop(n *ir.Node, form string, o Options) (*onnx.ModelProto, error) {
	m, err := Probe(n, form, o)
	if err != nil {
		return nil, err
	}
	g := m.Graph
	scalar := func(name string, t onnx.TensorProto_DataType) *onnx.ValueInfoProto {
		return onnx.TensorInfo(name, t, nil)
	}
	one := func(name string) *onnx.ValueInfoProto {
		return onnx.TensorInfo(name, onnx.TensorProto_FLOAT, []int64{1})
	}
	result := g.Output[0].Name
	half := g.Output[0].GetType().GetTensorType().GetElemType() == int32(onnx.TensorProto_FLOAT16)
	body := &onnx.GraphProto{Name: "body", Node: g.Node,
		Input:  []*onnx.ValueInfoProto{scalar("trip", onnx.TensorProto_INT64), scalar("go", onnx.TensorProto_BOOL), one("before")},
		Output: []*onnx.ValueInfoProto{scalar("go_on", onnx.TensorProto_BOOL), one("after")},
	}
	ints := func(name string, v ...int64) {
		g.Initializer = append(g.Initializer, onnx.Ints(name, []int64{int64(len(v))}, v))
	}
	ints("loop/all", -1)
	ints("loop/0", 0)
	ints("loop/1", 1)
	g.Initializer = append(g.Initializer, onnx.Floats("loop/start", []int64{1}, []float32{0}),
		&onnx.TensorProto{Name: "loop/true", DataType: int32(onnx.TensorProto_BOOL), Int32Data: []int32{1}})
	body.Node = append(body.Node,
		&onnx.NodeProto{Name: "loop/flat", OpType: "Reshape", Input: []string{result, "loop/all"}, Output: []string{"loop/vector"}},
		&onnx.NodeProto{Name: "loop/first", OpType: "Slice", Input: []string{"loop/vector", "loop/0", "loop/1", "loop/0"}, Output: []string{"loop/element"}},
	)
	element := "loop/element"
	if half {
		element = "loop/wide"
		body.Node = append(body.Node, &onnx.NodeProto{Name: element, OpType: "Cast", Input: []string{"loop/element"}, Output: []string{element},
			Attribute: []*onnx.AttributeProto{castTo(ir.Float32)}})
	}
	body.Node = append(body.Node,
		// What is read of each trip's result goes on to the next, so that no
		// trip can be left out.
		&onnx.NodeProto{Name: "loop/sum", OpType: "Add", Input: []string{element, "before"}, Output: []string{"after"}},
		&onnx.NodeProto{Name: "loop/go", OpType: "Identity", Input: []string{"go"}, Output: []string{"go_on"}},
	)
	g.Node = []*onnx.NodeProto{{Name: "loop", OpType: "Loop", Input: []string{Trips, "loop/true", "loop/start"}, Output: []string{"element"},
		Attribute: []*onnx.AttributeProto{{Name: "body", Type: onnx.AttributeProto_GRAPH, G: body}}}}
	g.Input = append(g.Input, onnx.TensorInfo(Trips, onnx.TensorProto_INT64, []int64{1}))
	g.Output = []*onnx.ValueInfoProto{one("element")}
	return m, nil
}

// isMap tells activations from weights among a node's inputs of rank 4.
func isMap(n *ir.Node, v *ir.Value, in []*ir.Value) bool {
	switch n.Op.Kind() {
	case "Conv", "ConvGradInput":
		return v == in[0]
	}
	return true
}

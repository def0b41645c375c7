// Package deploy rewrites a trained classifier for the place where it will
// run: it folds batch norms away, converts to float16, quantises to int8, and
// puts what comes before and after the network (making the input from pixels,
// softmax, the best classes) into the graph.
//
// Every rewrite takes an ONNX model and returns a new one, leaving its argument
// as it was. They work on the nodes of the file, not on the networks of this
// project, so that a model imported from elsewhere is served as well. They
// compose in this order:
//
//	Fold → Float16, HalfWeights or Quantise → Softmax, TopK → Preprocess
//
// A graph with subgraphs (If, Loop, Scan) or functions of its own is refused:
// a rewrite that saw only a part of it could change what it computes.
package deploy

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// The names of the inputs and outputs that rewrites add. A classifier's own are
// artifact.Images and artifact.Logits if this project wrote it.
const (
	Pixels        = "pixels"        // uint8 N×H×W×C, as decoded from an image file
	Probabilities = "probabilities" // float32 N×K, rows sum to one
	TopScores     = "top_scores"    // float32 N×k, largest first
	TopClasses    = "top_classes"   // int64 N×k, the classes of the scores
)

// opset is the version of the standard operators that the rewrites emit;
// minOpset the oldest that they read: from 13 on the operators at hand take
// their axes and sizes as inputs.
const (
	opset    = 21
	minOpset = 13
)

// edit is a model being rewritten: a copy of the caller's with an index.
type edit struct {
	model *onnx.ModelProto
	graph *onnx.GraphProto
	// constants are the initializers by name; producer the node that computes
	// a value; readers how often a value is read by nodes or leaves the graph.
	constants map[string]*onnx.TensorProto
	producer  map[string]*onnx.NodeProto
	readers   map[string]int
	taken     map[string]bool
}

// begin copies a model and indexes the copy.
func begin(m *onnx.ModelProto) (*edit, error) {
	e := &edit{model: proto.Clone(m).(*onnx.ModelProto)}
	e.graph = e.model.GetGraph()
	if e.graph == nil {
		return nil, fmt.Errorf("the model holds no graph")
	}
	if len(e.model.GetFunctions()) > 0 {
		return nil, fmt.Errorf("the model defines functions of its own, which cannot be rewritten")
	}
	for _, n := range e.graph.Node {
		for _, a := range n.Attribute {
			if a.GetG() != nil || len(a.GetGraphs()) > 0 {
				return nil, fmt.Errorf("node %q (%s) holds a graph of its own, which cannot be rewritten", n.GetName(), n.GetOpType())
			}
		}
	}
	if v := e.version(); v < minOpset {
		return nil, fmt.Errorf("the model is of operator set %d; from %d on it can be rewritten (onnx.version_converter raises it)", v, minOpset)
	}
	e.inputsAreNoConstants()
	e.index()
	return e, nil
}

// version returns the model's version of the standard operators.
func (e *edit) version() int64 {
	for _, o := range e.model.OpsetImport {
		if d := o.GetDomain(); d == "" || d == "ai.onnx" {
			return o.GetVersion()
		}
	}
	return 0
}

// inputsAreNoConstants drops inputs that only declare an initializer, as old
// exporters write them: a caller could otherwise replace a folded weight.
func (e *edit) inputsAreNoConstants() {
	stored := map[string]bool{}
	for _, t := range e.graph.Initializer {
		stored[t.GetName()] = true
	}
	kept := e.graph.Input[:0]
	for _, v := range e.graph.Input {
		if !stored[v.GetName()] {
			kept = append(kept, v)
		}
	}
	e.graph.Input = kept
}

// index builds the maps anew from the graph.
func (e *edit) index() {
	e.constants = map[string]*onnx.TensorProto{}
	e.producer = map[string]*onnx.NodeProto{}
	e.readers = map[string]int{}
	e.taken = map[string]bool{}
	for _, t := range e.graph.Initializer {
		e.constants[t.GetName()] = t
		e.taken[t.GetName()] = true
	}
	for _, v := range e.graph.Input {
		e.taken[v.GetName()] = true
	}
	for _, v := range e.graph.Output {
		e.readers[v.GetName()]++
		e.taken[v.GetName()] = true
	}
	for _, n := range e.graph.Node {
		for _, name := range n.Input {
			e.readers[name]++
		}
		for _, name := range n.Output {
			e.producer[name] = n
			e.taken[name] = true
		}
	}
}

// fresh makes a name that no value has.
func (e *edit) fresh(base string) string {
	name := base
	for i := 1; e.taken[name]; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	e.taken[name] = true
	return name
}

// constant adds an initializer under a free name derived from the tensor's own
// and returns that name.
func (e *edit) constant(t *onnx.TensorProto) string {
	t.Name = e.fresh(t.Name)
	e.constants[t.Name] = t
	e.graph.Initializer = append(e.graph.Initializer, t)
	return t.Name
}

// node makes a node of the standard operators, named after its first output.
func node(op string, in, out []string, attrs ...*onnx.AttributeProto) *onnx.NodeProto {
	return &onnx.NodeProto{Name: out[0] + "/" + op, OpType: op, Input: in, Output: out, Attribute: attrs}
}

// standard tells whether a node is the named standard operator.
func standard(n *onnx.NodeProto, op string) bool {
	d := n.GetDomain()
	return n != nil && n.GetOpType() == op && (d == "" || d == "ai.onnx")
}

func attribute(n *onnx.NodeProto, name string) *onnx.AttributeProto {
	for _, a := range n.Attribute {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

func attrInt(n *onnx.NodeProto, name string, otherwise int64) int64 {
	if a := attribute(n, name); a != nil {
		return a.GetI()
	}
	return otherwise
}

func attrFloat(n *onnx.NodeProto, name string, otherwise float32) float32 {
	if a := attribute(n, name); a != nil {
		return a.GetF()
	}
	return otherwise
}

// input returns the name of a node's input, empty if it is not given.
func input(n *onnx.NodeProto, i int) string {
	if i < len(n.Input) {
		return n.Input[i]
	}
	return ""
}

// replaceReads makes every reader of one value read another. Graph outputs keep
// their names, so the value must not be one.
func (e *edit) replaceReads(from, to string) {
	for _, n := range e.graph.Node {
		for i, name := range n.Input {
			if name == from {
				n.Input[i] = to
				e.readers[to]++
				e.readers[from]--
			}
		}
	}
}

// prune drops nodes whose results nobody reads, and the initializers that fall
// free with them.
func (e *edit) prune() {
	live := map[string]bool{}
	for _, v := range e.graph.Output {
		live[v.GetName()] = true
	}
	keep := make([]bool, len(e.graph.Node))
	for i := len(e.graph.Node) - 1; i >= 0; i-- {
		n := e.graph.Node[i]
		for _, name := range n.Output {
			keep[i] = keep[i] || name != "" && live[name]
		}
		if !keep[i] {
			continue
		}
		for _, name := range n.Input {
			live[name] = true
		}
	}
	nodes := e.graph.Node[:0]
	for i, n := range e.graph.Node {
		if keep[i] {
			nodes = append(nodes, n)
		}
	}
	e.graph.Node = nodes
	tensors := e.graph.Initializer[:0]
	for _, t := range e.graph.Initializer {
		if live[t.GetName()] {
			tensors = append(tensors, t)
		}
	}
	e.graph.Initializer = tensors
	e.index()
}

// finish drops what the rewrite may have made untrue: the declared types of
// values within the graph.
func (e *edit) finish() *onnx.ModelProto {
	e.prune()
	e.graph.ValueInfo = nil
	return e.model
}

// raise declares at least the operator set that the rewrites emit. Between 13
// and 21 the operators of classifiers kept their meaning, but for those listed,
// of which a model that holds one is refused.
func (e *edit) raise() error {
	if e.version() >= opset {
		return nil
	}
	for _, n := range e.graph.Node {
		switch op := n.GetOpType(); {
		case n.GetDomain() != "" && n.GetDomain() != "ai.onnx":
		case op == "Resize" || op == "Upsample" || op == "GroupNormalization" || op == "Split" && attribute(n, "num_outputs") == nil && input(n, 1) == "",
			len(op) > 6 && op[:6] == "Reduce" && op != "ReduceSum" && attribute(n, "axes") != nil:
			return fmt.Errorf("node %q: %s changed its form between operator set %d and %d; convert the model first (onnx.version_converter)",
				n.GetName(), op, e.version(), opset)
		}
	}
	for _, o := range e.model.OpsetImport {
		if d := o.GetDomain(); d == "" || d == "ai.onnx" {
			o.Version = opset
		}
	}
	e.model.IrVersion = max(e.model.IrVersion, 10)
	return nil
}

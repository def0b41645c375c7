// Package check reads ONNX files with onnx-go, an ONNX reader that shares no
// code with this project, into a gonum graph and verifies their structure: no
// cycle, every value that is read is produced, every operator has a legal
// number of inputs and outputs.
package check

import (
	"errors"
	"fmt"
	"os"

	onnxgo "github.com/owulveryck/onnx-go"
	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"gonum.org/v1/gonum/graph/topo"
	"gorgonia.org/tensor"
)

// Report is what the independent reader saw in a model.
type Report struct {
	// Values and Operations are the gonum graph's size: one node per value.
	Values, Operations int
	// Operators counts operations by type.
	Operators map[string]int
	// Depth is the number of operations on the longest path.
	Depth int
}

// File checks an ONNX file.
func File(path string) (*Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	r, err := Bytes(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Bytes checks an encoded model.
func Bytes(b []byte) (r *Report, err error) {
	// onnx-go's tensor library panics on some malformed tensors.
	defer func() {
		if p := recover(); p != nil {
			r, err = nil, fmt.Errorf("check: malformed model: %v", p)
		}
	}()
	b, inner, err := bodies(b)
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	if len(inner) > 0 {
		return nested(b, inner)
	}
	if b, err = standIns(b); err != nil {
		return nil, err
	}
	g := &builder{WeightedDirectedGraph: simple.NewWeightedDirectedGraph(0, -1), inputs: map[int64][]*value{}}
	m := onnxgo.NewModel(g)
	if err := m.UnmarshalBinary(b); err != nil {
		return nil, fmt.Errorf("check: onnx-go cannot decode the model: %w", err)
	}
	for _, id := range m.Input {
		g.Node(id).(*value).given = true
	}
	return g.verify(m.Output)
}

// nested checks a model and the bodies that were taken out of it, and adds up
// what was seen.
func nested(outer []byte, inner [][]byte) (*Report, error) {
	all, err := Bytes(outer)
	if err != nil {
		return nil, err
	}
	for _, b := range inner {
		r, err := Bytes(b)
		if err != nil {
			return nil, fmt.Errorf("a node's body: %w", err)
		}
		all.Values += r.Values
		all.Operations += r.Operations
		all.Depth += r.Depth
		for name, n := range r.Operators {
			all.Operators[name] += n
		}
	}
	return all, nil
}

// value is a node of the gonum graph: one tensor of the model.
type value struct {
	id       int64
	name     string
	op       string
	produced int
	// given marks graph inputs; tensor is set for initializers (and declared
	// for inputs and outputs).
	given  bool
	tensor tensor.Tensor
}

func (v *value) ID() int64                       { return v.id }
func (v *value) SetName(name string)             { v.name = name }
func (v *value) GetName() string                 { return v.name }
func (v *value) SetTensor(t tensor.Tensor) error { v.tensor = t; return nil }
func (v *value) GetTensor() tensor.Tensor        { return v.tensor }

// builder receives the graph from onnx-go. Edges point from a result to what
// it is computed from, weighted by the position of the input.
type builder struct {
	*simple.WeightedDirectedGraph
	inputs     map[int64][]*value
	operations []operation
}

type operation struct {
	kind    string
	outputs []*value
}

func (b *builder) NewNode() graph.Node {
	return &value{id: b.WeightedDirectedGraph.NewNode().ID()}
}

// SetWeightedEdge keeps every input of an operation; the simple graph below
// would merge a value that is read twice.
func (b *builder) SetWeightedEdge(e graph.WeightedEdge) {
	from, to := e.From().(*value), e.To().(*value)
	b.inputs[from.id] = append(b.inputs[from.id], to)
	b.WeightedDirectedGraph.SetWeightedEdge(e)
}

func (b *builder) ApplyOperation(op onnxgo.Operation, nodes ...graph.Node) error {
	o := operation{kind: op.Name}
	for _, n := range nodes {
		v := n.(*value)
		v.op = op.Name
		v.produced++
		o.outputs = append(o.outputs, v)
	}
	b.operations = append(b.operations, o)
	return nil
}

func (b *builder) verify(outputs []int64) (*Report, error) {
	r := &Report{Values: b.Nodes().Len(), Operations: len(b.operations), Operators: map[string]int{}}
	for _, op := range b.operations {
		r.Operators[op.kind]++
		if len(op.outputs) == 0 {
			return nil, fmt.Errorf("check: an operation %s has no output", op.kind)
		}
		in := b.inputs[op.outputs[0].id]
		if err := legal(op.kind, len(in), len(op.outputs)); err != nil {
			return nil, fmt.Errorf("check: value %q: %w", op.outputs[0].name, err)
		}
		for _, v := range op.outputs {
			if v.produced > 1 {
				return nil, fmt.Errorf("check: value %q is produced %d times", v.name, v.produced)
			}
			if v.given {
				return nil, fmt.Errorf("check: graph input %q is also computed", v.name)
			}
		}
		for _, v := range in {
			if v.produced == 0 && !v.given && v.tensor == nil && v.name != "" {
				return nil, fmt.Errorf("check: operation %s reads %q, which nothing produces", op.kind, v.name)
			}
		}
	}
	for _, id := range outputs {
		if v := b.Node(id).(*value); v.produced == 0 && !v.given {
			return nil, fmt.Errorf("check: graph output %q is not computed", v.name)
		}
	}
	sorted, err := topo.Sort(b.WeightedDirectedGraph)
	if err != nil {
		var cycles topo.Unorderable
		if errors.As(err, &cycles) {
			return nil, fmt.Errorf("check: the graph has %d cycles, one through %q", len(cycles), cycles[0][0].(*value).name)
		}
		return nil, fmt.Errorf("check: %w", err)
	}
	// Edges point to inputs, so the last node of the order comes first in time.
	depth := map[int64]int{}
	for i := len(sorted) - 1; i >= 0; i-- {
		v := sorted[i].(*value)
		for _, in := range b.inputs[v.id] {
			depth[v.id] = max(depth[v.id], depth[in.id]+1)
		}
		r.Depth = max(r.Depth, depth[v.id])
	}
	return r, nil
}

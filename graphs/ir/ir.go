// Package ir is the intermediate representation between models and ONNX: a
// graph of typed operators over values with static shapes.
//
// Three stages work on it. Models (package nn, models) build the forward
// graph from a small set of operators. Autodiff adds backward training
// primitives, which are operators of this package too (ConvGradWeight,
// BatchNormGrad…) and say what is computed, never how. Lowering turns every
// operator into ONNX nodes for one provider.
//
// A graph is append-only: a node's inputs exist before the node, so the order
// of Nodes is a topological order and no stage has to sort.
package ir

import (
	"fmt"
	"slices"
	"strings"
)

// DType is the element type of a value.
type DType uint8

const (
	Float32 DType = iota
	Uint8
	Int64
	// Float16 is IEEE half precision: 11 significant bits, at most 65504.
	Float16
)

func (d DType) String() string {
	switch d {
	case Float32:
		return "float32"
	case Uint8:
		return "uint8"
	case Int64:
		return "int64"
	case Float16:
		return "float16"
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// Shape is a static shape; nil is a scalar. Every dimension is at least 1.
type Shape []int

// Size is the number of elements.
func (s Shape) Size() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Equal reports whether both have the same rank and dimensions.
func (s Shape) Equal(t Shape) bool { return slices.Equal(s, t) }

func (s Shape) String() string {
	if len(s) == 0 {
		return "[]"
	}
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = fmt.Sprint(d)
	}
	return strings.Join(parts, "×")
}

// Type is what a value holds.
type Type struct {
	DType DType
	Shape Shape
}

func (t Type) String() string { return t.DType.String() + " " + t.Shape.String() }

// F32 is the type of a float32 tensor of the given dimensions.
func F32(dims ...int) Type { return Type{Float32, Shape(dims)} }

// Op is an operator with its attributes: a struct of this package.
type Op interface {
	// Kind names the operator, e.g. "Conv".
	Kind() string
	// Infer checks the input types and returns the output types.
	Infer(in []Type) ([]Type, error)
}

// Value is one tensor of a graph. Exactly one of these holds: Node is set
// (computed), Data is set (a constant), or neither (an input).
type Value struct {
	Type
	ID   int
	Name string
	// Node computes the value as its output number Index.
	Node  *Node
	Index int
	// Data are a constant's elements, rounded to float16 when they are written
	// if that is its type. An anonymous constant may be merged with others of
	// the same content.
	Data      []float32
	Anonymous bool
}

// IsConst reports whether the value is a constant.
func (v *Value) IsConst() bool { return v.Data != nil }

// Node applies an operator.
type Node struct {
	ID   int
	Name string
	Op   Op
	In   []*Value
	Out  []*Value
}

// Output is a value that leaves the graph under a name.
type Output struct {
	Name  string
	Value *Value
}

// Graph is a list of nodes in topological order.
type Graph struct {
	Name    string
	Nodes   []*Node
	Inputs  []*Value
	Outputs []Output
	// DynamicBatch lets the first dimension of the values in Batched vary at
	// run time; shapes then hold a stand-in.
	DynamicBatch bool
	Batched      map[*Value]bool

	values int
	names  map[string]bool
}

// New returns an empty graph.
func New(name string) *Graph {
	return &Graph{Name: name, names: map[string]bool{}, Batched: map[*Value]bool{}}
}

func (g *Graph) newValue(name string, t Type) *Value {
	for _, d := range t.Shape {
		if d < 1 {
			panic(fmt.Sprintf("ir: value %q has shape %v; dimensions must be positive", name, t.Shape))
		}
	}
	v := &Value{Type: t, ID: g.values, Name: g.unique(name)}
	g.values++
	return v
}

func (g *Graph) unique(name string) string {
	if name == "" {
		name = "v"
	}
	for n, i := name, 1; ; i++ {
		if !g.names[n] {
			g.names[n] = true
			return n
		}
		n = fmt.Sprintf("%s_%d", name, i)
	}
}

// Input adds a graph input. The name must be free: it is part of a contract.
func (g *Graph) Input(name string, t Type) *Value {
	if g.names[name] {
		panic(fmt.Sprintf("ir: input name %q is taken", name))
	}
	v := g.newValue(name, t)
	g.Inputs = append(g.Inputs, v)
	return v
}

// Output marks a value as leaving the graph under a name.
func (g *Graph) Output(name string, v *Value) {
	g.Outputs = append(g.Outputs, Output{name, v})
}

// Const adds a float32 constant; the graph keeps data.
func (g *Graph) Const(name string, shape Shape, data []float32) *Value {
	if len(data) != shape.Size() {
		panic(fmt.Sprintf("ir: constant %q has %d elements for shape %v", name, len(data), shape))
	}
	v := g.newValue(name, Type{Float32, shape})
	v.Data = data
	return v
}

// Scalar adds a float32 scalar constant.
func (g *Graph) Scalar(x float32) *Value {
	v := g.Const("const", nil, []float32{x})
	v.Anonymous = true
	return v
}

// TryApply appends a node and returns its outputs, or an error when the
// operator rejects its inputs. The name is made unique.
func (g *Graph) TryApply(name string, op Op, in ...*Value) ([]*Value, error) {
	types := make([]Type, len(in))
	for i, v := range in {
		types[i] = v.Type
	}
	outs, err := op.Infer(types)
	if err != nil {
		return nil, fmt.Errorf("node %q (%s): %w", name, op.Kind(), err)
	}
	for _, t := range outs {
		if slices.ContainsFunc(t.Shape, func(d int) bool { return d < 1 }) {
			return nil, fmt.Errorf("node %q (%s): result would be %v; dimensions must be positive", name, op.Kind(), t.Shape)
		}
	}
	if name == "" {
		name = strings.ToLower(op.Kind())
	}
	n := &Node{ID: len(g.Nodes), Name: name, Op: op, In: slices.Clone(in)}
	for i, t := range outs {
		vn := name
		if len(outs) > 1 {
			vn = fmt.Sprintf("%s.%d", name, i)
		}
		v := g.newValue(vn, t)
		v.Node, v.Index = n, i
		n.Out = append(n.Out, v)
	}
	n.Name = n.Out[0].Name
	g.Nodes = append(g.Nodes, n)
	return n.Out, nil
}

// Apply is TryApply for graphs built by this project's own code, where a
// rejected input is a programmer's mistake: it panics.
func (g *Graph) Apply(name string, op Op, in ...*Value) []*Value {
	out, err := g.TryApply(name, op, in...)
	if err != nil {
		panic("ir: " + err.Error())
	}
	return out
}

// One is Apply for operators of one output.
func (g *Graph) One(name string, op Op, in ...*Value) *Value {
	return g.Apply(name, op, in...)[0]
}

// Prune drops nodes whose outputs neither leave the graph nor feed a kept node.
func (g *Graph) Prune() {
	live := make(map[*Value]bool)
	for _, o := range g.Outputs {
		live[o.Value] = true
	}
	keep := make([]bool, len(g.Nodes))
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		if !slices.ContainsFunc(n.Out, func(v *Value) bool { return live[v] }) {
			continue
		}
		keep[i] = true
		for _, v := range n.In {
			live[v] = true
		}
	}
	kept := g.Nodes[:0]
	for i, n := range g.Nodes {
		if keep[i] {
			n.ID = len(kept)
			kept = append(kept, n)
		}
	}
	clear(g.Nodes[len(kept):])
	g.Nodes = kept
}

// Uses returns, for every value, the nodes that read it, in order. A node that
// reads a value twice appears twice.
func (g *Graph) Uses() map[*Value][]*Node {
	uses := make(map[*Value][]*Node)
	for _, n := range g.Nodes {
		for _, v := range n.In {
			uses[v] = append(uses[v], n)
		}
	}
	return uses
}

package lower

import (
	"math"
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// The update of the parameters is a chain of element-wise operators over flat
// vectors, each a pass over the memory of a whole network. The kernel library
// runs such an expression in one pass: operator Elementwise with a program of
// instructions over registers (runtime/kernels/src/elementwise.cc).

// instructions are the codes of the operators that a program may hold.
var instructions = map[string]int{
	"Add": 0, "Sub": 1, "Mul": 2, "Div": 3, "Max": 4, "Min": 5, "Neg": 6, "Sqrt": 7, "Abs": 8, "Sign": 9,
}

// The most inputs and outputs of an Elementwise operator.
const maxFlatInputs, maxFlatOutputs = 16, 8

// expression is a run of nodes over flat vectors that are emitted as one, in
// place of the last.
type expression struct {
	size  int
	nodes []*ir.Node
	// made holds what the nodes compute.
	made map[*ir.Value]bool
}

// fuseFlat finds the expressions. A group of nodes ends where another node
// reads what it computes, since the group is emitted at its last node.
func (e *Emitter) fuseFlat() {
	if !e.opts.Kernels || e.opts.Block == 0 && !e.channelsLast() {
		return
	}
	open := map[int]*expression{}
	close := func(x *expression) {
		delete(open, x.size)
		e.fuseExpression(x)
	}
	for _, n := range e.g.Nodes {
		size := e.flatSize(n)
		for _, x := range open {
			if x.size != size && slices.ContainsFunc(n.In, func(v *ir.Value) bool { return x.made[v] }) {
				close(x)
			}
		}
		if size == 0 {
			continue
		}
		x := open[size]
		if x == nil {
			x = &expression{size: size, made: map[*ir.Value]bool{}}
			open[size] = x
		}
		x.nodes = append(x.nodes, n)
		x.made[n.Out[0]] = true
	}
	var rest []*expression
	for _, x := range open {
		rest = append(rest, x)
	}
	slices.SortFunc(rest, func(a, b *expression) int { return a.size - b.size })
	for _, x := range rest {
		close(x)
	}
}

// flatSize returns the length of the vector that n computes if a program may
// hold it: element by element from vectors of that length and scalars.
func (e *Emitter) flatSize(n *ir.Node) int {
	if _, ok := instructions[n.Op.Kind()]; !ok || e.skip[n] || e.fused[n] != nil || e.opts.Forms[n.Op.Kind()] != "" {
		return 0
	}
	s := n.Out[0].Shape
	if len(s) != 1 || e.g.DynamicBatch {
		return 0
	}
	for _, v := range n.In {
		if v.DType != ir.Float32 || len(v.Shape) != 0 && !v.Shape.Equal(s) {
			return 0
		}
	}
	return s[0]
}

func (e *Emitter) fuseExpression(x *expression) {
	if len(x.nodes) < 2 {
		return
	}
	var vectors, scalars, runs, results []*ir.Value
	add := func(to *[]*ir.Value, v *ir.Value) {
		if !slices.Contains(*to, v) {
			*to = append(*to, v)
		}
	}
	for _, n := range x.nodes {
		for _, v := range n.In {
			switch {
			case x.made[v]:
			case len(v.Shape) == 0:
				add(&scalars, v)
			case v.Node != nil && v.Node.Op.Kind() == "Runs":
				add(&runs, v)
			default:
				add(&vectors, v)
			}
		}
		out := n.Out[0]
		outside := slices.ContainsFunc(e.uses[out], func(u *ir.Node) bool { return !slices.Contains(x.nodes, u) })
		if outside || slices.ContainsFunc(e.g.Outputs, func(o ir.Output) bool { return o.Value == out }) {
			results = append(results, out)
		}
	}
	if len(vectors) == 0 || len(vectors)+len(scalars) > maxFlatInputs || len(results) > maxFlatOutputs {
		return
	}
	// A constant that nothing else reads is not emitted at all.
	for _, v := range runs {
		if !slices.ContainsFunc(e.uses[v], func(u *ir.Node) bool { return !slices.Contains(x.nodes, u) }) {
			e.skip[v.Node] = true
		}
	}
	register := map[*ir.Value]int{}
	for _, v := range slices.Concat(vectors, scalars, runs) {
		register[v] = len(register)
	}
	var program, constants, stored []int64
	constants = append(constants, int64(len(runs)))
	for _, v := range runs {
		op := v.Node.Op.(ir.Runs)
		constants = append(constants, int64(len(op.Lengths)))
		for i, n := range op.Lengths {
			constants = append(constants, int64(n), int64(math.Float32bits(op.Values[i])))
		}
	}
	for _, n := range x.nodes {
		a := register[n.In[0]]
		b := a
		if len(n.In) > 1 {
			b = register[n.In[1]]
		}
		to := len(register)
		register[n.Out[0]] = to
		program = append(program, int64(instructions[n.Op.Kind()]), int64(a), int64(b), int64(to))
	}
	for _, v := range results {
		stored = append(stored, int64(register[v]))
	}
	last := len(x.nodes) - 1
	for _, n := range x.nodes[:last] {
		e.skip[n] = true
	}
	e.fused[x.nodes[last]] = func() {
		e.current = x.nodes[last]
		var in, out []string
		for _, v := range slices.Concat(vectors, scalars) {
			in = append(in, e.in(v))
		}
		for _, v := range results {
			out = append(out, e.out(v))
		}
		attrs := []*onnx.AttributeProto{
			onnx.AttrInt("size", int64(x.size)), onnx.AttrInt("vectors", int64(len(vectors))),
			onnx.AttrInts("program", program...), onnx.AttrInts("results", stored...), onnx.AttrInts("runs", constants...),
		}
		e.kernel("Elementwise", in, out, attrs...)
	}
}

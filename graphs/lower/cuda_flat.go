package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Cutting and joining flat vectors on CUDA. Its kernels of Split and Concat for
// unequal parts write a table of 8 bytes for every place along the axis, on the
// host, and copy it to the device, at every run: for a vector of 25 million
// parameters 200 MB a step, twice. Slices need no table; a join of rows needs
// one as long as there are rows.

func init() {
	registerCUDA("Split", form{name: "slices", half: true, emit: emitSplitSlices})
	borrow("Split", "direct", worse(1))
	registerCUDA("Concat", form{name: "rows", half: true, emit: emitConcatRows})
	borrow("Concat", "direct", worse(1))
}

// emitSplitSlices takes every part by a Slice of its own. Equal parts have a
// kernel without a table. The first is cut from another view of the vector:
// from slices that cover a whole axis ONNX Runtime would make a Split again.
func emitSplitSlices(e *Emitter, n *ir.Node) bool {
	parts := n.Op.(ir.Split).Parts
	equal := true
	for _, s := range parts {
		equal = equal && s.Size() == parts[0].Size()
	}
	if equal {
		return false
	}
	x, at := e.in(n.In[0]), 0
	for i, s := range parts {
		from, axis := x, 0
		if i == 0 {
			from, axis = e.reshape(x, 1, n.In[0].Shape[0]), 1
		}
		part := e.do("Slice", []string{from, e.ints(at), e.ints(at + s.Size()), e.ints(axis)})
		e.emit("Reshape", []string{part, e.ints(s...)}, []string{e.out(n.Out[i])})
		at += s.Size()
	}
	return true
}

const (
	// leastRow is the shortest row worth joining by.
	leastRow = 16
	// mostStretches bounds the passes over the whole vector.
	mostStretches = 8
	// shortVector is so short that its table does not matter.
	shortVector = 4096
)

// stretch is a run of vectors whose lengths have a common divisor.
type stretch struct {
	first, end  int // of the inputs
	row, length int
}

// stretches divides vectors of some lengths into as few stretches as keep the
// rows at least so long.
func stretches(lengths []int, least int) []stretch {
	var all []stretch
	for i, n := range lengths {
		if k := len(all) - 1; k >= 0 {
			if row := gcd(all[k].row, n); row >= least {
				all[k].end, all[k].row, all[k].length = i+1, row, all[k].length+n
				continue
			}
		}
		all = append(all, stretch{i, i + 1, n, n})
	}
	return all
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// emitConcatRows joins flat vectors: each stretch as a matrix of rows, and the
// stretches by adding them up, each with zeros in the place of the others.
func emitConcatRows(e *Emitter, n *ir.Node) bool {
	total := n.Out[0].Shape
	if n.Op.(ir.Concat).Axis != 0 || len(total) != 1 || total[0] < shortVector {
		return false
	}
	lengths := make([]int, len(n.In))
	for i, v := range n.In {
		lengths[i] = v.Shape[0]
	}
	all := stretches(lengths, leastRow)
	if len(all) > mostStretches {
		return false
	}
	out, at := "", 0
	for _, s := range all {
		part := e.in(n.In[s.first])
		if s.end-s.first > 1 {
			var rows []string
			for _, v := range n.In[s.first:s.end] {
				rows = append(rows, e.reshape(e.in(v), v.Shape[0]/s.row, s.row))
			}
			part = e.reshape(e.do("Concat", rows, onnx.AttrInt("axis", 0)), s.length)
		}
		if len(all) > 1 {
			part = e.do("Pad", []string{part, e.ints(at, total[0]-at-s.length)})
		}
		at += s.length
		if out == "" {
			out = part
		} else {
			out = e.do("Add", []string{out, part})
		}
	}
	e.emit("Identity", []string{out}, []string{e.out(n.Out[0])})
	return true
}

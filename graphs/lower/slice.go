package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
)

func init() {
	register("Slice", form{name: "direct", half: true, emit: emitSlice})
	register("SliceGrad", form{name: "pad", half: true, emit: emitSliceGrad})
}

// emitSlice emits the axes that are really cut, so that a batch axis that is
// kept whole stays free to vary.
func emitSlice(e *Emitter, n *ir.Node) bool {
	op, s := n.Op.(ir.Slice), n.In[0].Shape
	var axes, starts, ends, steps []int
	for i, d := range s {
		if op.Start[i] == 0 && op.Step[i] == 1 && op.Size[i] == d {
			continue
		}
		axes = append(axes, i)
		starts = append(starts, op.Start[i])
		ends = append(ends, op.Start[i]+(op.Size[i]-1)*op.Step[i]+1)
		steps = append(steps, op.Step[i])
	}
	if axes == nil {
		e.emit("Identity", e.inputs(n), []string{e.out(n.Out[0])})
		return true
	}
	e.emit("Slice", []string{e.in(n.In[0]), e.ints(starts...), e.ints(ends...), e.ints(axes...), e.ints(steps...)},
		[]string{e.out(n.Out[0])})
	return true
}

// emitSliceGrad spreads the gradient over zeros: an axis of step s is viewed
// as (size, 1), padded to (size, s), and viewed as one axis again, which puts
// s−1 zeros after every element; one last Pad, with negative amounts where the
// last element has fewer zeros behind it, gives every axis its place.
func emitSliceGrad(e *Emitter, n *ir.Node) bool {
	op, dy := n.Op.(ir.SliceGrad), n.In[0].Shape
	x := e.in(n.In[0])
	var split, pads, joined []int
	stepped := false
	for i, d := range dy {
		split = append(split, d)
		pads = append(pads, 0)
		joined = append(joined, d*op.Step[i])
		if op.Step[i] > 1 {
			stepped = true
			split = append(split, 1)
			pads = append(pads, op.Step[i]-1)
		}
	}
	if stepped {
		x = e.reshape(x, split...)
		x = e.do("Pad", []string{x, e.ints(append(make([]int, len(pads)), pads...)...)})
		x = e.reshape(x, joined...)
	}
	before := append([]int(nil), op.Start[:len(dy)]...)
	after := make([]int, len(dy))
	zero := true
	for i := range dy {
		after[i] = op.Input[i] - op.Start[i] - joined[i]
		zero = zero && before[i] == 0 && after[i] == 0
	}
	if zero {
		e.emit("Identity", []string{x}, []string{e.out(n.Out[0])})
		return true
	}
	e.emit("Pad", []string{x, e.ints(append(before, after...)...)}, []string{e.out(n.Out[0])})
	return true
}

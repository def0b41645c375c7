package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

func init() {
	register("Gather", form{name: "direct", emit: func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.Gather)
		e.emit("Gather", []string{e.in(n.In[0]), e.ints(op.Index...)}, []string{e.out(n.Out[0])}, onnx.AttrInt("axis", int64(op.Axis)))
		return true
	}})
	register("GatherGrad", form{name: "gather", emit: emitGatherGrad})
}

// emitGatherGrad adds up what was taken from one place by taking it together:
// behind dy comes a zero, which fills the shorter lists of places. Unlike
// ScatterElements that adds, this has the same order of summation every time.
func emitGatherGrad(e *Emitter, n *ir.Node) bool {
	op, dy := n.Op.(ir.GatherGrad), n.In[0].Shape
	places, longest := op.Places()
	x := e.in(n.In[0])
	pads := make([]int, 2*len(dy))
	pads[len(dy)+op.Axis] = 1
	x = e.do("Pad", []string{x, e.ints(pads...)})
	if longest == 1 {
		e.emit("Gather", []string{x, e.ints(places...)}, []string{e.out(n.Out[0])}, onnx.AttrInt("axis", int64(op.Axis)))
		return true
	}
	x = e.do("Gather", []string{x, e.ints(places...)}, onnx.AttrInt("axis", int64(op.Axis)))
	lists := append(append(append([]int(nil), dy[:op.Axis]...), op.Size, longest), dy[op.Axis+1:]...)
	x = e.reshape(x, lists...)
	e.emit("ReduceSum", []string{x, e.ints(op.Axis + 1)}, []string{e.out(n.Out[0])}, onnx.AttrInt("keepdims", 0))
	return true
}

package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

func init() {
	register("ConvGradWeight", form{name: "skew", half: true, emit: emitWeightSkew, rank: func(n *ir.Node, _ Options) float64 {
		// Best on large maps, where one row more or less costs little.
		if n.In[0].Shape[3] >= 24 {
			return 0.2
		}
		return 0.6
	}})
}

// emitWeightSkew lays the shift between tap rows into the row pitch of one
// matrix: the flat maps of dy, joined with gaps of zeros,
//
//	dy 0…0 dy 0…0 dy
//
// and cut into three equal pieces, are three copies of dy each one map row
// later than the one before. Against three copies of x shifted by a column, one
// batched product gives all nine taps of a 3×3 kernel with padding 1. The
// copies are contiguous but for the column shifts.
func emitWeightSkew(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	if op.ConvAttr != ir.Window(1, 1) || op.Kernel != [2]int{3, 3} {
		return false
	}
	dy, x := n.In[0].Shape, n.In[1].Shape
	batch, out, in, h, w := dy[0], dy[1], x[1], dy[2], dy[3]
	l, r := h*w, h*w+2*w // a map, and a map with a row above and below
	flat := e.reshape(e.in(n.In[0]), batch, out, l)
	gap := e.zeros(batch, out, r+w-l)
	d := e.do("Concat", []string{flat, gap, flat, gap, flat}, onnx.AttrInt("axis", 2))
	d = e.reshape(d, batch, 3*out, r)
	var cols []string
	for j := range 3 {
		// A negative pad drops a column: the copy for tap column j holds
		// x[…, q+j−1].
		p := e.do("Pad", []string{e.in(n.In[1]), e.ints(0, 0, 1, 1-j, 0, 0, 1, j-1)})
		cols = append(cols, e.reshape(p, batch, in, r))
	}
	prod := e.imageProducts(d, e.join(cols)) // (out·3)×(3·in)
	prod = e.reshape(prod, out, 3, 3, in)
	e.emit("Transpose", []string{prod}, []string{e.out(n.Out[0])}, onnx.AttrInts("perm", 0, 3, 1, 2))
	return true
}

// zeros emits a shared tensor of zeros, made at load time, of the type that the
// present form computes in.
func (e *Emitter) zeros(shape ...int) string {
	return e.once("zeros "+e.elem().String(), "ConstantOfShape", []string{e.ints(shape...)},
		onnx.AttrTensor("value", numbers(e.elem(), "", ir.Shape{1}, []float32{0})))
}

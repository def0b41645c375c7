package lower

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

func init() {
	register("SumSquares", form{name: "reduce", emit: func(e *Emitter, n *ir.Node) bool {
		if len(n.In[0].Shape) == 0 {
			x := e.in(n.In[0])
			e.emit("Mul", []string{x, x}, []string{e.out(n.Out[0])})
			return true
		}
		e.emit("ReduceSumSquare", []string{e.in(n.In[0])}, []string{e.out(n.Out[0])}, onnx.AttrInt("keepdims", 0))
		return true
	}})
	register("KeepFinite", form{name: "where", emit: func(e *Emitter, n *ir.Node) bool {
		// A comparison with a number that is none is false, as it is with an
		// infinity.
		size := e.once("size", "Abs", []string{e.in(n.In[0])})
		finite := e.once("finite", "LessOrEqual", []string{size, e.scalar(math.MaxFloat32)})
		e.emit("Where", []string{finite, e.in(n.In[1]), e.in(n.In[2])}, []string{e.out(n.Out[0])})
		return true
	}})
}

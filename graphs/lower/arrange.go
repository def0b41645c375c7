package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// What networks from elsewhere are made of beside convolutions: permuted axes,
// repeated values, stacks of matrices, norms over the last axis.

func init() {
	register("Transpose", form{name: "direct", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		perm := make([]int64, len(n.In[0].Shape))
		for i := range perm {
			perm[i] = int64(n.Op.(ir.Transpose).Perm[i])
		}
		e.emit("Transpose", e.inputs(n), []string{e.out(n.Out[0])}, onnx.AttrInts("perm", perm...))
		return true
	}})
	register("Expand", form{name: "direct", half: true, emit: emitExpand})
	register("BatchMatMul", form{name: "direct", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.BatchMatMul)
		if !op.TransA && !op.TransB {
			e.emit("MatMul", e.inputs(n), []string{e.out(n.Out[0])})
			return true
		}
		e.emit(microsoft+":FusedMatMul", e.inputs(n), []string{e.out(n.Out[0])},
			onnx.AttrInt("transA", flag(op.TransA)), onnx.AttrInt("transB", flag(op.TransB)))
		return true
	}})
	register("LayerNorm", form{name: "direct", emit: func(e *Emitter, n *ir.Node) bool {
		out := []string{e.out(n.Out[0])}
		for i, v := range n.Out[1:] {
			if e.unread(v) {
				continue
			}
			for len(out) < i+1 {
				out = append(out, e.out(n.Out[len(out)]))
			}
			out = append(out, e.out(v))
		}
		e.emit("LayerNormalization", e.inputs(n), out,
			onnx.AttrInt("axis", -1), onnx.AttrFloat("epsilon", n.Op.(ir.LayerNorm).Eps))
		return true
	}})
}

// emitExpand takes an open batch from the graph's own input.
func emitExpand(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.Expand)
	to := op.Shape()
	shape := e.ints(to...)
	if e.g.DynamicBatch && op.Batch > 0 {
		size := ""
		for _, v := range e.g.Inputs {
			if e.g.Batched[v] {
				size = e.once("batch", "Shape", []string{e.in(v)}, onnx.AttrInt("start", 0), onnx.AttrInt("end", 1))
				break
			}
		}
		parts := []string{size}
		if before := to[:op.Batch-1]; len(before) > 0 {
			parts = append([]string{e.ints(before...)}, parts...)
		}
		if after := to[op.Batch:]; len(after) > 0 {
			parts = append(parts, e.ints(after...))
		}
		shape = size
		if len(parts) > 1 {
			shape = e.do("Concat", parts, onnx.AttrInt("axis", 0))
		}
	}
	e.emit("Expand", []string{e.in(n.In[0]), shape}, []string{e.out(n.Out[0])})
	return true
}

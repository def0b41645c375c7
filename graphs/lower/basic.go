package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

func init() {
	for _, f := range []ir.BinaryKind{ir.Add, ir.Sub, ir.Mul, ir.Div, ir.Max, ir.Min} {
		register(string(f), form{name: "direct", half: true, emit: direct(string(f))})
	}
	for _, f := range []ir.UnaryKind{ir.Relu, ir.Neg, ir.Sqrt, ir.Exp, ir.Log, ir.Abs, ir.Sign, ir.Tanh} {
		register(string(f), form{name: "direct", half: true, emit: direct(string(f))})
	}
	register("MatMul", form{name: "gemm", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.MatMul)
		e.emit("Gemm", e.inputs(n), []string{e.out(n.Out[0])},
			onnx.AttrInt("transA", flag(op.TransA)), onnx.AttrInt("transB", flag(op.TransB)))
		return true
	}})
	register("Gemm", form{name: "direct", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.Gemm)
		e.emit("Gemm", e.inputs(n), []string{e.out(n.Out[0])},
			onnx.AttrInt("transA", flag(op.TransA)), onnx.AttrInt("transB", flag(op.TransB)),
			onnx.AttrFloat("alpha", op.Alpha), onnx.AttrFloat("beta", op.Beta))
		return true
	}})
	register("Sum", form{name: "direct", emit: func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.Sum)
		var axes []int
		for i := range n.In[0].Shape {
			if op.Axes>>i&1 == 1 {
				axes = append(axes, i)
			}
		}
		e.emit("ReduceSum", []string{e.in(n.In[0]), e.ints(axes...)}, []string{e.out(n.Out[0])},
			onnx.AttrInt("keepdims", flag(op.Keep)))
		return true
	}})
	register("Reshape", form{name: "direct", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.Reshape)
		from, to := n.In[0].Shape, op.Shape()
		if e.g.DynamicBatch && op.Batch > 0 {
			to[op.Batch-1] = -1
		} else if e.g.DynamicBatch && len(from) > 0 && len(to) > 0 && from[0] == to[0] {
			to[0] = 0 // the input's, whatever the batch
		}
		e.emit("Reshape", []string{e.in(n.In[0]), e.ints(to...)}, []string{e.out(n.Out[0])})
		return true
	}})
	register("Pad", form{name: "direct", half: true, emit: emitPad})
	register("Concat", form{name: "direct", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		e.emit("Concat", e.inputs(n), []string{e.out(n.Out[0])}, onnx.AttrInt("axis", int64(n.Op.(ir.Concat).Axis)))
		return true
	}})
	register("Shake", form{name: "direct", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		e.emit("Mul", []string{e.in(n.In[0]), e.in(n.In[1])}, []string{e.out(n.Out[0])})
		return true
	}})
	register("Split", form{name: "direct", half: true, emit: emitSplit})
	register("Runs", form{name: "direct", emit: emitRuns})
}

func emitPad(e *Emitter, n *ir.Node) bool {
	op, rank := n.Op.(ir.Pad), len(n.In[0].Shape)
	pads := append(append([]int(nil), op.Before[:rank]...), op.After[:rank]...)
	e.emit("Pad", []string{e.in(n.In[0]), e.ints(pads...)}, []string{e.out(n.Out[0])})
	return true
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// inputs returns the names of a node's inputs.
func (e *Emitter) inputs(n *ir.Node) []string {
	names := make([]string, len(n.In))
	for i, v := range n.In {
		names[i] = e.in(v)
	}
	return names
}

// direct emits one ONNX node of the given type for an operator of one output.
func direct(op string) func(*Emitter, *ir.Node) bool {
	return func(e *Emitter, n *ir.Node) bool {
		e.emit(op, e.inputs(n), []string{e.out(n.Out[0])})
		return true
	}
}

// emitSplit cuts the flat vector once and reshapes the parts, which copies
// nothing.
func emitSplit(e *Emitter, n *ir.Node) bool {
	parts := n.Op.(ir.Split).Parts
	sizes := make([]int, len(parts))
	flat := make([]string, len(parts))
	for i, s := range parts {
		sizes[i] = s.Size()
		flat[i] = e.out(n.Out[i])
		if len(s) != 1 {
			flat[i] = e.tmp("part")
		}
	}
	e.emit("Split", []string{e.in(n.In[0]), e.ints(sizes...)}, flat, onnx.AttrInt("axis", 0))
	for i, s := range parts {
		if len(s) != 1 {
			e.emit("Reshape", []string{flat[i], e.ints(s...)}, []string{e.out(n.Out[i])})
		}
	}
	return true
}

// emitRuns fills each run by ConstantOfShape, which keeps the file small, and
// joins them.
func emitRuns(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.Runs)
	var parts []string
	for i, length := range op.Lengths {
		parts = append(parts, e.do("ConstantOfShape", []string{e.ints(length)},
			onnx.AttrTensor("value", onnx.Floats("", []int64{1}, []float32{op.Values[i]}))))
	}
	e.emit("Concat", parts, []string{e.out(n.Out[0])}, onnx.AttrInt("axis", 0))
	return true
}

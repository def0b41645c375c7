package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// These forms give the weight gradient to the runtime's own convolution, with
// dy as the filter and the batch as its input channels. They differ in how
// they keep the input channels of the network out of the sum.

func init() {
	register("ConvGradWeight", form{name: "interleaved", half: true, emit: emitWeightInterleaved, rank: func(n *ir.Node, _ Options) float64 {
		op := n.Op.(ir.ConvGradWeight)
		if op.Stride != [2]int{1, 1} {
			return 0.9
		}
		return 0.4
	}})
	register("ConvGradWeight", form{name: "stacked", half: true, emit: emitWeightStacked, rank: worse(0.5)})
	register("ConvGradWeight", form{name: "depth", half: true, emit: emitWeightDepth, rank: worse(0.8)})
}

// emitWeightInterleaved views x, channels last, as maps of width W·C: a filter
// dilated by C then meets every channel of a column in turn, and the result's
// width is kw·C.
func emitWeightInterleaved(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	if op.Groups != 1 || op.Dilation != [2]int{1, 1} {
		return false
	}
	dy, x := n.In[0].Shape, n.In[1].Shape
	in := x[1]
	size, err := ir.ConvAttr{Stride: [2]int{1, 1}, Dilation: op.Stride, Pad: op.Pad, Groups: 1}.
		OutSize([2]int{x[2], x[3]}, [2]int{dy[2], dy[3]})
	if err != nil {
		return false
	}
	xv := e.do("Transpose", []string{e.in(n.In[1])}, onnx.AttrInts("perm", 0, 2, 3, 1))
	xv = e.reshape(xv, 1, x[0], x[2], x[3]*in)
	filter := e.do("Transpose", []string{e.in(n.In[0])}, onnx.AttrInts("perm", 1, 0, 2, 3))
	d := e.do("Conv", []string{xv, filter}, convAttrs(ir.ConvAttr{
		Stride: [2]int{1, 1}, Dilation: [2]int{op.Stride[0], op.Stride[1] * in}, Groups: 1,
		Pad: [4]int{op.Pad[0], op.Pad[1] * in, op.Pad[2], op.Pad[3] * in},
	})...)
	d = e.reshape(e.float32(d), dy[1], size[0], size[1], in)
	if size != op.Kernel {
		d = e.do("Slice", []string{d, e.ints(0, 0), e.ints(op.Kernel[0], op.Kernel[1]), e.ints(1, 2)})
	}
	e.emit("Transpose", []string{d}, []string{e.out(n.Out[0])}, onnx.AttrInts("perm", 0, 3, 1, 2))
	return true
}

// emitWeightStacked stacks the channels of x above each other, N×(C·H)×W, and
// steps a filter of the map's full height from one to the next; tap rows come
// from copies of dy moved by a row. x is not copied at all. 3×3, padding 1.
func emitWeightStacked(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	if op.ConvAttr != ir.Window(1, 1) || op.Kernel != [2]int{3, 3} {
		return false
	}
	dy, x := n.In[0].Shape, n.In[1].Shape
	batch, out, in, h, w := dy[0], dy[1], x[1], dy[2], dy[3]
	if h < 2 {
		return false
	}
	dt := e.do("Transpose", []string{e.in(n.In[0])}, onnx.AttrInts("perm", 1, 0, 2, 3))
	row := e.zeros(out, batch, 1, w)
	join := func(parts ...string) string { return e.do("Concat", parts, onnx.AttrInt("axis", 2)) }
	up := join(e.do("Slice", []string{dt, e.ints(1), e.ints(h), e.ints(2)}), row)
	down := join(row, e.do("Slice", []string{dt, e.ints(0), e.ints(h - 1), e.ints(2)}))
	// Tap row 0 reads x one row above: dy moved up against x.
	filter := e.do("Concat", []string{up, dt, down}, onnx.AttrInt("axis", 0))
	d := e.do("Conv", []string{e.reshape(e.in(n.In[1]), 1, batch, in*h, w), filter},
		onnx.AttrInts("strides", int64(h), 1), onnx.AttrInts("pads", 0, 1, 0, 1))
	d = e.reshape(e.float32(d), 3, out, in, 3)
	e.emit("Transpose", []string{d}, []string{e.out(n.Out[0])}, onnx.AttrInts("perm", 1, 2, 0, 3))
	return true
}

// emitWeightDepth uses a three-dimensional convolution whose depth is the
// input channels: nothing but dy's two leading axes is moved.
func emitWeightDepth(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	if op.Groups != 1 {
		return false
	}
	dy, x := n.In[0].Shape, n.In[1].Shape
	size, err := ir.ConvAttr{Stride: op.Dilation, Dilation: op.Stride, Pad: op.Pad, Groups: 1}.
		OutSize([2]int{x[2], x[3]}, [2]int{dy[2], dy[3]})
	if err != nil {
		return false
	}
	filter := e.do("Transpose", []string{e.in(n.In[0])}, onnx.AttrInts("perm", 1, 0, 2, 3))
	filter = e.reshape(filter, dy[1], dy[0], 1, dy[2], dy[3])
	p := op.Pad
	out := e.out(n.Out[0])
	shape := e.ints(dy[1], x[1], op.Kernel[0], op.Kernel[1])
	d := e.do("Conv", []string{e.reshape(e.in(n.In[1]), 1, x[0], x[1], x[2], x[3]), filter},
		onnx.AttrInts("strides", 1, int64(op.Dilation[0]), int64(op.Dilation[1])),
		onnx.AttrInts("dilations", 1, int64(op.Stride[0]), int64(op.Stride[1])),
		onnx.AttrInts("pads", 0, int64(p[0]), int64(p[1]), 0, int64(p[2]), int64(p[3])))
	d = e.float32(d)
	if size != op.Kernel {
		d = e.do("Slice", []string{d, e.ints(0, 0), e.ints(op.Kernel[0], op.Kernel[1]), e.ints(3, 4)})
	}
	e.emit("Reshape", []string{d, shape}, []string{out})
	return true
}

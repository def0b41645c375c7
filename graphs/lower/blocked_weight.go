package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

func init() {
	register("ConvGradWeight", form{name: "blocked", rank: worse(-1), emit: emitWeightBlocked})
	register("ConvGradWeight", form{name: "blocked_pixels", rank: worse(-1.5), emit: emitWeightPixelMajor})
	register("ConvGradWeight", form{name: "blocked_stem", rank: worse(-1), emit: emitWeightBlockedStem})
}

// emitWeightBlocked gives the weight gradient to the blocked convolution, with
// dy as the filter, the batch as its input channels and the output channels in
// their blocks. x is brought into blocks of the batch: its own channel blocks
// then lie side by side with the columns, and a filter dilated by the block
// meets every channel of a column in turn, so the result's width is kw·B.
func emitWeightBlocked(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	after, ok := e.weightBlockable(n)
	// Large maps of a 1×1 kernel are better served by a product per image.
	dy, x := n.In[0].Shape, n.In[1].Shape
	if !ok || op.Groups != 1 ||
		op.Kernel == [2]int{1, 1} && dy[2]*dy[3] >= 28*28 && e.opts.Forms["ConvGradWeight"] == "" {
		return false
	}
	y := e.weightBlocked(op, after, e.blk(n.In[0]), e.blk(n.In[1]), dy, x)
	e.emit("Reshape", []string{y, e.ints(n.Out[0].Shape...)}, []string{e.out(n.Out[0])})
	return true
}

// weightBlockable reports whether a weight gradient, or that of each group, can
// be a convolution on blocks, and the padding after the map under which its
// result has just the kernel's size: rows and columns that the stride leaves
// unread are not needed.
func (e *Emitter) weightBlockable(n *ir.Node) (after [2]int, ok bool) {
	op, dy, x := n.Op.(ir.ConvGradWeight), n.In[0].Shape, n.In[1].Shape
	if !e.blockable(n.In[0]) || !e.blockable(n.In[1]) || op.Dilation != [2]int{1, 1} || dy[0]%reorderUnit != 0 {
		return after, false
	}
	for i := range 2 {
		after[i] = (dy[2+i]-1)*op.Stride[i] + op.Kernel[i] - x[2+i] - op.Pad[i]
		if after[i] < 0 {
			return after, false
		}
	}
	return after, true
}

// weightBlocked emits the gradient from blocked maps of one group, as O×I×taps
// in some shape.
func (e *Emitter) weightBlocked(op ir.ConvGradWeight, after [2]int, dyBlocked, xBlocked string, dy, x ir.Shape) string {
	b, batch, out, in := e.opts.Block, dy[0], dy[1], x[1]
	nb, cb, ob := (batch+b-1)/b, in/b, out/b
	whole := nb * b // the batch, filled up with images of zeros by the reordering
	h, w := x[2], x[3]

	v := e.reshape(xBlocked, batch, cb, h*w*b)
	if cb > 1 {
		v = e.do("Transpose", []string{v}, onnx.AttrInts("perm", 1, 0, 2))
	}
	v = e.do("com.microsoft.nchwc:ReorderInput", []string{e.reshape(v, cb, batch, h, w*b)})
	left, right := op.Pad[1], after[1]
	if left+right > 0 {
		v = e.reshape(v, cb*nb, h, w*b*b)
		parts := []string{v}
		if left > 0 {
			parts = append([]string{e.zeros(cb*nb, h, left*b*b)}, parts...)
		}
		if right > 0 {
			parts = append(parts, e.zeros(cb*nb, h, right*b*b))
		}
		v = e.do("Concat", parts, onnx.AttrInt("axis", 2))
	}
	v = e.reshape(v, cb, whole, h, (w+left+right)*b)

	// Few filters leave threads idle: cut the batch into groups and add up.
	groups := 1
	if cb == 1 && ob <= 4 && nb%2 == 0 {
		groups = 2
	}
	area := dy[2] * dy[3]
	index := e.clipped(e.permutation([]int{groups, nb / groups, b, ob, area}, 0, 3, 1, 4, 2), batch*ob*area, whole*ob*area)
	f := e.do("Gather", []string{e.reshape(dyBlocked, batch*ob*area, b), index}, onnx.AttrInt("axis", 0))
	f = e.reshape(f, groups*out, whole/groups, dy[2], dy[3])

	kh, kw := op.Kernel[0], op.Kernel[1]
	y := e.tmp("conv")
	e.blockedConv(v, f, "", "", y, [2]int{dy[2], dy[3]}, ir.ConvAttr{
		Stride: [2]int{1, 1}, Dilation: [2]int{op.Stride[0], op.Stride[1] * b},
		Pad: [4]int{op.Pad[0], 0, after[0], 0}, Groups: groups})
	if groups > 1 {
		y = e.reshape(y, cb, groups, ob*kh*kw*b*b)
		y = e.do("ReduceSum", []string{y, e.ints(1)}, onnx.AttrInt("keepdims", 0))
	}
	// I/B × O/B × taps × B(in) × B(out)
	y = e.reshape(y, cb, ob, kh*kw, b, b)
	return e.do("Transpose", []string{y}, onnx.AttrInts("perm", 1, 4, 0, 3, 2))
}

// reorderUnit divides the channels that ReorderInput takes; up to the block it
// adds channels of zeros.
const reorderUnit = 4

// clipped returns row numbers below rows: those of the images that fill up the
// last block name some real row instead. What they read is multiplied by zeros.
func (e *Emitter) clipped(index string, rows, whole int) string {
	if rows == whole {
		return index
	}
	return e.once("", "Min", []string{index, e.int32(rows - 1)})
}

// emitWeightPixelMajor serves 1×1 kernels on small maps: with the channels of a
// pixel side by side, the gradient is one product over all pixels of the batch.
func emitWeightPixelMajor(e *Emitter, n *ir.Node) bool {
	op, b := n.Op.(ir.ConvGradWeight), e.opts.Block
	if !e.blockable(n.In[0]) || !e.blockable(n.In[1]) || op.Kernel != [2]int{1, 1} || op.ConvAttr != ir.Window(1, 0) {
		return false
	}
	dy, x := n.In[0].Shape, n.In[1].Shape
	area := dy[2] * dy[3]
	if area > 14*14 && e.opts.Forms["ConvGradWeight"] == "" {
		return false
	}
	major := func(v *ir.Value) string {
		c := v.Shape[1]
		t := e.reshape(e.blk(v), dy[0], c/b, area, b)
		t = e.do("Transpose", []string{t}, onnx.AttrInts("perm", 0, 2, 1, 3))
		return e.reshape(t, dy[0]*area, c)
	}
	d := e.do("Gemm", []string{major(n.In[0]), major(n.In[1])}, onnx.AttrInt("transA", 1))
	e.emit("Reshape", []string{d, e.ints(dy[1], x[1], 1, 1)}, []string{e.out(n.Out[0])})
	return true
}

// emitWeightBlockedStem serves the first convolution, whose few input channels
// are not blocked: the channels become the batch of the convolution. Stride 1.
func emitWeightBlockedStem(e *Emitter, n *ir.Node) bool {
	op, b := n.Op.(ir.ConvGradWeight), e.opts.Block
	dy, x := n.In[0].Shape, n.In[1].Shape
	if !e.blockable(n.In[0]) || x[1] >= b || op.Groups != 1 || op.Dilation != [2]int{1, 1} ||
		op.Stride != [2]int{1, 1} || dy[0]%reorderUnit != 0 {
		return false
	}
	batch, out, in := dy[0], dy[1], x[1]
	nb, ob, h := (batch+b-1)/b, out/b, x[2]
	whole := nb * b
	wide := x[3] + op.Pad[1] + op.Pad[3]
	v := e.reshape(e.in(n.In[1]), batch, in*h, x[3])
	if wide != x[3] {
		v = e.do("Pad", []string{v, e.ints(0, 0, op.Pad[1], 0, 0, op.Pad[3])})
	}
	v = e.do("com.microsoft.nchwc:ReorderInput", []string{e.reshape(v, 1, batch, in*h, wide)})
	v = e.do("Transpose", []string{e.reshape(v, nb, in, h*wide*b)}, onnx.AttrInts("perm", 1, 0, 2))
	v = e.reshape(v, in, whole, h, wide)
	area := dy[2] * dy[3]
	index := e.clipped(e.permutation([]int{nb, b, ob, area}, 2, 0, 3, 1), batch*ob*area, whole*ob*area)
	f := e.do("Gather", []string{e.reshape(e.blk(n.In[0]), batch*ob*area, b), index}, onnx.AttrInt("axis", 0))
	f = e.reshape(f, out, whole, dy[2], dy[3])
	kh, kw := op.Kernel[0], op.Kernel[1]
	y := e.tmp("conv")
	e.blockedConv(v, f, "", "", y, [2]int{dy[2], dy[3]}, ir.ConvAttr{
		Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Pad: [4]int{op.Pad[0], 0, op.Pad[2], 0}, Groups: 1})
	y = e.do("Transpose", []string{e.reshape(y, in, ob, kh*kw, b)}, onnx.AttrInts("perm", 1, 3, 0, 2))
	e.emit("Reshape", []string{y, e.ints(out, in, kh, kw)}, []string{e.out(n.Out[0])})
	return true
}

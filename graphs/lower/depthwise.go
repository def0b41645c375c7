package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// The gradients of depthwise convolutions and of those in groups.
//
// The weight gradient of one filter is the correlation of its map of x with its
// map of dy, so that all of them, over all images, are one depthwise convolution
// of N·C maps whose filters are the maps of dy; stride and dilation trade
// places. The images are then added up.

func init() {
	register("ConvGradWeight", form{name: "depthwise", rank: worse(0.1), emit: emitWeightDepthwise})
	register("ConvGradWeight", form{name: "blocked_depthwise", rank: worse(-1), emit: emitWeightDepthwiseBlocked})
	register("ConvGradInput", form{name: "spread", rank: worse(2), emit: emitConvSpread})
	register("ConvGradInput", form{name: "blocked_spread", rank: worse(-0.4), emit: emitConvSpreadBlocked})
}

// crossed returns the attributes of the convolution of x with dy as its filter
// that gives one filter's gradient, and the size of its result: the kernel's, or
// more where the forward stride left pixels unread.
func crossed(op ir.ConvGradWeight, dy, x ir.Shape) (a ir.ConvAttr, size [2]int, ok bool) {
	a = op.ConvAttr
	a.Stride, a.Dilation = op.Dilation, op.Stride
	size, err := a.OutSize([2]int{x[2], x[3]}, [2]int{dy[2], dy[3]})
	return a, size, err == nil
}

func emitWeightDepthwise(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	dy, x := n.In[0].Shape, n.In[1].Shape
	a, size, ok := crossed(op, dy, x)
	if !op.Depthwise(n.Out[0].Shape) || !ok {
		return false
	}
	maps := x[0] * x[1]
	a.Groups = maps
	d := e.do("Conv", []string{e.reshape(e.in(n.In[1]), 1, maps, x[2], x[3]), e.reshape(e.in(n.In[0]), maps, 1, dy[2], dy[3])},
		convAttrs(a)...)
	d = e.reshape(d, x[0], x[1], 1, size[0], size[1])
	if size != op.Kernel {
		d = e.do("Slice", []string{d, e.ints(0, 0), e.ints(op.Kernel[0], op.Kernel[1]), e.ints(3, 4)})
	}
	e.emit("ReduceSum", []string{d, e.ints(0)}, []string{e.out(n.Out[0])}, onnx.AttrInt("keepdims", 0))
	return true
}

// emitWeightDepthwiseBlocked is the same on blocks, where nothing is copied: the
// blocks of all images lie one after the other, as maps and as filters.
func emitWeightDepthwiseBlocked(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	dy, x := n.In[0].Shape, n.In[1].Shape
	a, size, ok := crossed(op, dy, x)
	if !op.Depthwise(n.Out[0].Shape) || !e.blockable(n.In[0]) || !e.blockable(n.In[1]) || !ok {
		return false
	}
	b, maps, taps := e.opts.Block, x[0]*x[1], op.Kernel[0]*op.Kernel[1]
	a.Groups = maps
	d := e.tmp("conv")
	e.blockedConv(e.reshape(e.blk(n.In[1]), 1, maps, x[2], x[3]), e.reshape(e.blk(n.In[0]), maps, 1, dy[2], dy[3]),
		"", "", d, [2]int{dy[2], dy[3]}, a)
	d = e.reshape(d, x[0], x[1]/b, size[0], size[1], b)
	if size != op.Kernel {
		d = e.do("Slice", []string{d, e.ints(0, 0), e.ints(op.Kernel[0], op.Kernel[1]), e.ints(2, 3)})
	}
	d = e.do("ReduceSum", []string{d, e.ints(0)}, onnx.AttrInt("keepdims", 0))
	d = e.do("Transpose", []string{e.reshape(d, x[1]/b, taps, b)}, onnx.AttrInts("perm", 0, 2, 1))
	e.emit("Reshape", []string{d, e.ints(n.Out[0].Shape...)}, []string{e.out(n.Out[0])})
	return true
}

// spread is a strided input gradient as one of stride 1: dy with rows and columns
// of zeros between its pixels, as far as the convolution of stride 1 has outputs.
func spread(op ir.ConvGradInput, w ir.Shape) (unit ir.ConvGradInput, size [2]int, ok bool) {
	unit = op
	unit.Stride = [2]int{1, 1}
	size, err := unit.OutSize(op.Input, [2]int{w[2], w[3]})
	_, fits := flippedPad(unit, w)
	return unit, size, err == nil && fits && op.Stride != unit.Stride
}

// spreadPixels emits the pixels of d, planes × h × w × block, a stride apart on
// maps of the given size.
func (e *Emitter) spreadPixels(d string, planes int, dy ir.Shape, stride, size [2]int, block int) string {
	d = e.reshape(d, planes, dy[2], 1, dy[3], block)
	d = e.do("Pad", []string{d, e.ints(0, 0, 0, 0, 0, 0, 0, stride[0]-1, 0, (stride[1]-1)*block)})
	have := [2]int{dy[2] * stride[0], dy[3] * stride[1]}
	d = e.reshape(d, planes, have[0], have[1], block)
	if have == size {
		return d
	}
	return e.do("Pad", []string{d, e.ints(0, 0, 0, 0, 0, size[0]-have[0], size[1]-have[1], 0)})
}

// emitConvSpread serves strided convolutions in groups, of which ConvTranspose
// makes a product for each group of each image.
func emitConvSpread(e *Emitter, n *ir.Node) bool {
	op, dy, w := n.Op.(ir.ConvGradInput), n.In[0].Shape, n.In[1]
	unit, size, ok := spread(op, w.Shape)
	if !ok {
		return false
	}
	pad, _ := flippedPad(unit, w.Shape)
	d := e.spreadPixels(e.in(n.In[0]), dy[0]*dy[1], dy, op.Stride, size, 1)
	d = e.reshape(d, dy[0], dy[1], size[0], size[1])
	a := ir.ConvAttr{Stride: unit.Stride, Dilation: op.Dilation, Pad: pad, Groups: op.Groups}
	e.emit("Conv", []string{d, e.flippedWeights(w, op.Groups)}, []string{e.out(n.Out[0])}, convAttrs(a)...)
	return true
}

func emitConvSpreadBlocked(e *Emitter, n *ir.Node) bool {
	op, dy, w := n.Op.(ir.ConvGradInput), n.In[0].Shape, n.In[1]
	unit, size, ok := spread(op, w.Shape)
	if !ok || op.Groups == 1 && e.opts.Forms["ConvGradInput"] == "" || !e.gradBlocked(n) {
		return false
	}
	b := e.opts.Block
	pad, _ := flippedPad(unit, w.Shape)
	d := e.spreadPixels(e.blk(n.In[0]), dy[0]*dy[1]/b, dy, op.Stride, size, b)
	d = e.reshape(d, dy[0], dy[1], size[0], size[1])
	f, groups := e.gradFilter(w, op.Groups, reversed(w.Shape), [2]int{w.Shape[2], w.Shape[3]})
	e.blockedConv(d, f, "", "", e.outBlk(n.Out[0]), [2]int{w.Shape[2], w.Shape[3]},
		ir.ConvAttr{Stride: unit.Stride, Dilation: op.Dilation, Pad: pad, Groups: groups})
	return true
}

// reversed lists the taps of w from the last to the first.
func reversed(w ir.Shape) []int {
	taps := make([]int, w[2]*w[3])
	for t := range taps {
		taps[t] = len(taps) - 1 - t
	}
	return taps
}

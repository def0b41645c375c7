package lower

import (
	"fmt"

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
	register("ConvGradWeight", form{name: "depthwise", rank: worse(0.1), half: true, emit: emitWeightDepthwise})
	register("ConvGradWeight", form{name: "blocked_depthwise", rank: worse(-1), emit: emitWeightDepthwiseBlocked})
	register("ConvGradWeight", form{name: "blocked_narrow", rank: worse(-1), emit: emitWeightNarrowBlocked})
	register("ConvGradWeight", form{name: "blocked_groups", rank: worse(-1), emit: emitWeightGroupsBlocked})
	register("ConvGradInput", form{name: "spread", rank: worse(2), half: true, emit: emitConvSpread})
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
	d = e.reshape(e.float32(d), x[0], x[1], 1, size[0], size[1])
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
	b, taps := e.opts.Block, op.Kernel[0]*op.Kernel[1]
	d := e.mapProducts(op, a, size, e.blk(n.In[0]), e.blk(n.In[1]), dy, x)
	d = e.do("Transpose", []string{e.reshape(d, x[1]/b, taps, b)}, onnx.AttrInts("perm", 0, 2, 1))
	e.emit("Reshape", []string{d, e.ints(n.Out[0].Shape...)}, []string{e.out(n.Out[0])})
	return true
}

// mapProducts emits the correlation of each blocked map of x with that of dy at
// the same place, under a, added up over the images: C/B × kh × kw × B.
func (e *Emitter) mapProducts(op ir.ConvGradWeight, a ir.ConvAttr, size [2]int, dyBlocked, xBlocked string, dy, x ir.Shape) string {
	b, maps := e.opts.Block, x[0]*x[1]
	a.Groups = maps
	d := e.tmp("conv")
	e.blockedConv(e.reshape(xBlocked, 1, maps, x[2], x[3]), e.reshape(dyBlocked, maps, 1, dy[2], dy[3]),
		"", "", d, [2]int{dy[2], dy[3]}, a)
	d = e.reshape(d, x[0], x[1]/b, size[0], size[1], b)
	if size != op.Kernel {
		d = e.do("Slice", []string{d, e.ints(0, 0), e.ints(op.Kernel[0], op.Kernel[1]), e.ints(2, 3)})
	}
	return e.do("ReduceSum", []string{d, e.ints(0)}, onnx.AttrInt("keepdims", 0))
}

// widestShared is the width of the narrow groups that emitWeightNarrowBlocked
// serves: it takes a pass over the maps for each channel of a group.
const widestShared = 8

// emitWeightNarrowBlocked serves groups narrower than a block, as many channels
// in as out. The gradient with respect to the c-th input channel of all groups
// is a depthwise one, for maps in which every channel is its group's c-th.
func emitWeightNarrowBlocked(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	dy, x := n.In[0].Shape, n.In[1].Shape
	width, b := n.Out[0].Shape[1], e.opts.Block
	a, size, ok := crossed(op, dy, x)
	if !ok || op.Groups == 1 || width == 1 || width > widestShared || dy[1] != x[1] ||
		!e.blockable(n.In[0]) || !e.blockable(n.In[1]) || b%width != 0 {
		return false
	}
	taps := op.Kernel[0] * op.Kernel[1]
	var parts []string
	for c := range width {
		shared := e.tmp("shared")
		e.blockedConv(e.blk(n.In[1]), e.sharing(x[1], width, c), "", "", shared, [2]int{1, 1},
			ir.ConvAttr{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: x[1] / b})
		d := e.mapProducts(op, a, size, e.blk(n.In[0]), shared, dy, x)
		parts = append(parts, e.reshape(d, 1, x[1]/b, taps, b))
	}
	d := e.do("Concat", parts, onnx.AttrInt("axis", 0))
	d = e.do("Transpose", []string{d}, onnx.AttrInts("perm", 1, 3, 0, 2))
	e.emit("Reshape", []string{d, e.ints(n.Out[0].Shape...)}, []string{e.out(n.Out[0])})
	return true
}

// sharing returns the weights of a 1×1 convolution in blocks, each a group, that
// gives every channel the c-th of its own group of width channels.
func (e *Emitter) sharing(channels, width, c int) string {
	key := fmt.Sprintf("sharing %d %d %d", channels, width, c)
	if e.consts[key] == "" {
		b := e.opts.Block
		data := make([]float32, channels*b) // block × in × out
		for ch := range channels {
			o := ch % b
			data[ch/b*b*b+(o/width*width+c)*b+o] = 1
		}
		e.consts[key] = e.fresh("sharing")
		e.graph.Initializer = append(e.graph.Initializer, onnx.Floats(e.consts[key], []int64{int64(channels), int64(b), 1, 1}, data))
	}
	return e.consts[key]
}

// mostGroups is how many groups are worth a convolution each.
const mostGroups = 16

// emitWeightGroupsBlocked serves a few groups that fill whole blocks: each by
// itself, as a convolution without groups.
func emitWeightGroupsBlocked(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	dy, x := n.In[0].Shape, n.In[1].Shape
	out, in := dy[1]/op.Groups, x[1]/op.Groups
	after, ok := e.weightBlockable(n)
	if !ok || op.Groups == 1 || op.Groups > mostGroups || out%e.opts.Block != 0 || in%e.opts.Block != 0 {
		return false
	}
	// Channel blocks of an image follow one another.
	cut := func(v string, g, width int) string {
		return e.do("Slice", []string{v, e.ints(g * width), e.ints((g + 1) * width), e.ints(1)})
	}
	var parts []string
	for g := range op.Groups {
		d := e.weightBlocked(op, after, cut(e.blk(n.In[0]), g, out), cut(e.blk(n.In[1]), g, in),
			ir.Shape{dy[0], out, dy[2], dy[3]}, ir.Shape{x[0], in, x[2], x[3]})
		parts = append(parts, e.reshape(d, out, in, op.Kernel[0], op.Kernel[1]))
	}
	e.emit("Concat", parts, []string{e.out(n.Out[0])}, onnx.AttrInt("axis", 0))
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

package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

func init() {
	register("Conv", form{name: "blocked", rank: worse(-1), emit: emitConvBlocked})
	register("ConvGradInput", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		return e.convFlippedBlocked(n, nil, n.Out[0])
	}})
	register("ConvGradInput", form{name: "blocked_phases", rank: worse(-0.5), emit: emitConvPhases})
}

// blockedConv emits a convolution on blocks. sum, where not empty, is added to
// the result.
func (e *Emitter) blockedConv(x, w, sum, out string, kernel [2]int, a ir.ConvAttr) {
	in := []string{x, w}
	if sum != "" {
		in = append(in, "", sum)
	}
	attrs := append(convAttrs(a), attrPair("kernel_shape", kernel))
	e.emit("com.microsoft.nchwc:Conv", in, []string{out}, attrs...)
}

// emitConvBlocked serves plain convolutions to a multiple of the block, from
// one, or from fewer channels than a block, which stay in plain layout.
func emitConvBlocked(e *Emitter, n *ir.Node) bool {
	a := n.Op.(ir.Conv).ConvAttr
	x, w := n.In[0], n.In[1]
	b := e.opts.Block
	if !e.blockable(n.Out[0]) || a.Groups != 1 || x.Shape[1]%b != 0 && x.Shape[1] >= b {
		return false
	}
	kernel := [2]int{w.Shape[2], w.Shape[3]}
	o, i := w.Shape[0], w.Shape[1]
	full := e.ints(o, i, kernel[0], kernel[1])
	if i < b {
		// O/B × I × kh × kw × B
		v := e.once("split", "Reshape", []string{e.in(w), e.ints(o/b, b, i, kernel[0], kernel[1])})
		v = e.once("out last", "Transpose", []string{v}, onnx.AttrInts("perm", 0, 2, 3, 4, 1))
		v = e.once("", "Reshape", []string{v, full})
		e.blockedConv(e.in(x), v, "", e.outBlk(n.Out[0]), kernel, a)
		return true
	}
	// O/B × I/B × kh × kw × B(in) × B(out)
	v := e.once("split", "Reshape", []string{e.in(w), e.ints(o/b, b, i/b, b, kernel[0], kernel[1])})
	v = e.once("in, out last", "Transpose", []string{v}, onnx.AttrInts("perm", 0, 2, 4, 5, 3, 1))
	v = e.once("", "Reshape", []string{v, full})
	e.blockedConv(e.blk(x), v, "", e.outBlk(n.Out[0]), kernel, a)
	return true
}

// convFlippedBlocked emits the input gradient of a convolution of stride 1 as a
// convolution with flipped weights, on blocks, adding the value sum (nil for
// none) to it, as out.
func (e *Emitter) convFlippedBlocked(n *ir.Node, sum, out *ir.Value) bool {
	op := n.Op.(ir.ConvGradInput)
	pad, ok := flippedPad(op, n.In[1].Shape)
	if !ok || !e.blockable(n.In[0]) || !e.blockable(n.Out[0]) {
		return false
	}
	w, b := n.In[1], e.opts.Block
	o, i, taps := w.Shape[0], w.Shape[1], w.Shape[2]*w.Shape[3]
	f := e.in(w)
	if taps > 1 {
		reversed := make([]int, taps)
		for t := range reversed {
			reversed[t] = taps - 1 - t
		}
		f = e.do("Gather", []string{e.reshape(f, o, i, taps), e.ints(reversed...)}, onnx.AttrInt("axis", 2))
	}
	f = e.reshape(f, o/b, b, i/b, b, taps)
	f = e.do("Transpose", []string{f}, onnx.AttrInts("perm", 2, 0, 4, 1, 3))
	f = e.reshape(f, i, o, w.Shape[2], w.Shape[3])
	add := ""
	if sum != nil {
		add = e.blk(sum)
	}
	a := ir.ConvAttr{Stride: op.Stride, Dilation: op.Dilation, Pad: pad, Groups: 1}
	e.blockedConv(e.blk(n.In[0]), f, add, e.outBlk(out), [2]int{w.Shape[2], w.Shape[3]}, a)
	return true
}

// emitConvPhases serves the input gradient of a 3×3 convolution of stride 2
// with padding 1 and even maps. Each of the four pixel phases of dx sees its
// own subset of the nine taps, at most 2×2, so one 2×2 convolution of dy gives
// all phases as channels; a gather of whole blocks puts them in their places.
func emitConvPhases(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradInput)
	w, b := n.In[1], e.opts.Block
	if !e.blockable(n.In[0]) || !e.blockable(n.Out[0]) || op.ConvAttr != ir.Window(2, 1) ||
		w.Shape[2] != 3 || w.Shape[3] != 3 || op.Input[0]%2 != 0 || op.Input[1]%2 != 0 {
		return false
	}
	dy := n.In[0].Shape
	o, i := w.Shape[0], w.Shape[1]
	// tap[phase][t] is the kernel row that pixel 2h+phase applies to dy row
	// h+t; 3 is the row of zeros added below.
	tap := [2][2]int{{1, 3}, {2, 0}}
	var order []int
	for ph := range 2 {
		for pw := range 2 {
			for th := range 2 {
				for tw := range 2 {
					order = append(order, tap[ph][th]*4+tap[pw][tw])
				}
			}
		}
	}
	f := e.do("Pad", []string{e.in(w), e.ints(0, 0, 0, 0, 0, 0, 1, 1)})
	f = e.do("Gather", []string{e.reshape(f, o, i, 16), e.ints(order...)}, onnx.AttrInt("axis", 2))
	f = e.reshape(f, o/b, b, i/b, b, 4, 4)
	f = e.do("Transpose", []string{f}, onnx.AttrInts("perm", 4, 2, 0, 5, 1, 3))
	f = e.reshape(f, 4*i, o, 2, 2)
	y := e.tmp("phases")
	e.blockedConv(e.blk(n.In[0]), f, "", y, [2]int{2, 2}, ir.ConvAttr{
		Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Pad: [4]int{0, 0, 1, 1}, Groups: 1})
	// N × phase × I/B × h × w, one row of B each, to N × I/B × 2h × 2w.
	index := e.permutation([]int{dy[0], 2, 2, i / b, dy[2], dy[3]}, 0, 3, 4, 1, 5, 2)
	y = e.reshape(y, dy[0]*4*(i/b)*dy[2]*dy[3], b)
	y = e.do("Gather", []string{y, index}, onnx.AttrInt("axis", 0))
	e.emit("Reshape", []string{y, e.ints(n.Out[0].Shape...)}, []string{e.outBlk(n.Out[0])})
	return true
}

// permutation returns a vector of row numbers: those of a tensor of the given
// shape, transposed. Gathering whole blocks by it is quicker than Transpose.
// The runtime folds it into a constant when it loads the model.
func (e *Emitter) permutation(shape []int, perm ...int) string {
	size := 1
	for _, d := range shape {
		size *= d
	}
	r := e.once("", "Range", []string{e.int32(0), e.int32(size), e.int32(1)})
	r = e.once("", "Reshape", []string{r, e.ints(shape...)})
	p := make([]int64, len(perm))
	key := ""
	for i, x := range perm {
		p[i] = int64(x)
		key += string(rune('0' + x))
	}
	r = e.once(key, "Transpose", []string{r}, onnx.AttrInts("perm", p...))
	return e.once("", "Reshape", []string{r, e.ints(-1)})
}

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

// emitConvPhases serves the input gradient of a convolution of stride 2 on even
// maps. Each of the four pixel phases of dx sees its own subset of the taps, so
// it is a convolution of stride 1 of dy with just those taps; a gather of whole
// blocks puts the phases in their places.
func emitConvPhases(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradInput)
	w, b := n.In[1], e.opts.Block
	if !e.blockable(n.In[0]) || !e.blockable(n.Out[0]) || op.Groups != 1 ||
		op.Stride != [2]int{2, 2} || op.Dilation != [2]int{1, 1} || op.Input[0]%2 != 0 || op.Input[1]%2 != 0 {
		return false
	}
	dy := n.In[0].Shape
	var axes [2][2]phase // axis, phase
	for a := range 2 {
		for ph := range 2 {
			p, ok := newPhase(w.Shape[2+a], op.Pad[a], ph, dy[2+a], op.Input[a]/2)
			if !ok {
				return false
			}
			axes[a][ph] = p
		}
	}
	o, i := w.Shape[0], w.Shape[1]
	h, wd := op.Input[0]/2, op.Input[1]/2
	rows := dy[0] * (i / b) * h * wd
	flat := e.reshape(e.in(w), o, i, w.Shape[2]*w.Shape[3])
	var parts []string
	for _, v := range axes[0] {
		for _, u := range axes[1] {
			if len(v.taps) == 0 || len(u.taps) == 0 {
				parts = append(parts, e.zeros(rows, b))
				continue
			}
			var taps []int
			for _, r := range v.taps {
				for _, c := range u.taps {
					taps = append(taps, r*w.Shape[3]+c)
				}
			}
			f := e.do("Gather", []string{flat, e.ints(taps...)}, onnx.AttrInt("axis", 2))
			f = e.reshape(f, o/b, b, i/b, b, len(taps))
			f = e.do("Transpose", []string{f}, onnx.AttrInts("perm", 2, 0, 4, 1, 3))
			f = e.reshape(f, i, o, len(v.taps), len(u.taps))
			y := e.tmp("phase")
			e.blockedConv(e.blk(n.In[0]), f, "", y, [2]int{len(v.taps), len(u.taps)}, ir.ConvAttr{
				Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: 1,
				Pad: [4]int{v.before, u.before, v.after, u.after}})
			parts = append(parts, e.reshape(y, rows, b))
		}
	}
	// phase × N × I/B × h × w, one row of B each, to N × I/B × 2h × 2w.
	index := e.permutation([]int{2, 2, dy[0], i / b, h, wd}, 2, 3, 4, 0, 5, 1)
	y := e.do("Concat", parts, onnx.AttrInt("axis", 0))
	y = e.do("Gather", []string{y, index}, onnx.AttrInt("axis", 0))
	e.emit("Reshape", []string{y, e.ints(n.Out[0].Shape...)}, []string{e.outBlk(n.Out[0])})
	return true
}

// phase is what every second pixel of dx needs along one axis: the kernel taps
// that reach it, in the order of the dy elements they read, and the padding of
// dy.
type phase struct {
	taps          []int
	before, after int
}

// newPhase: pixel 2h+ph of dx is reached by tap t from dy element h + (ph+pad−t)/2
// where that is whole. dy has size elements; half of dx's are of this phase.
func newPhase(kernel, pad, ph, size, half int) (phase, bool) {
	var p phase
	first := 0
	for t := kernel - 1; t >= 0; t-- {
		if (ph+pad-t)%2 != 0 {
			continue
		}
		if p.taps == nil {
			first = (ph + pad - t) / 2
		}
		p.taps = append(p.taps, t)
	}
	if p.taps == nil {
		return p, true
	}
	p.before = -first
	p.after = half - size - p.before + len(p.taps) - 1
	return p, p.before >= 0 && p.after >= 0
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

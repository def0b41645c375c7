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

// blockedConv emits a convolution on blocks. bias and sum, where not empty, are
// added to the result.
func (e *Emitter) blockedConv(x, w, bias, sum, out string, kernel [2]int, a ir.ConvAttr) {
	in := []string{x, w}
	if bias != "" || sum != "" {
		in = append(in, bias)
	}
	if sum != "" {
		in = append(in, sum)
	}
	attrs := append(convAttrs(a), attrPair("kernel_shape", kernel))
	e.emit("com.microsoft.nchwc:Conv", in, []string{out}, attrs...)
}

// emitConvBlocked serves convolutions to a multiple of the block: from one; from
// fewer channels than a block, which stay in plain layout; depthwise; and in
// groups that wide makes wide enough.
func emitConvBlocked(e *Emitter, n *ir.Node) bool {
	a := n.Op.(ir.Conv).ConvAttr
	x, w := n.In[0], n.In[1]
	b := e.opts.Block
	stem := a.Groups == 1 && x.Shape[1] < b
	depthwise := a.Depthwise(w.Shape)
	merge, ok := e.merge(a.Groups, w.Shape)
	if !e.blockable(n.Out[0]) || !stem && !e.blockable(x) || !stem && !depthwise && !ok {
		return false
	}
	bias := ""
	if len(n.In) == 3 {
		bias = e.in(n.In[2])
	}
	kernel := [2]int{w.Shape[2], w.Shape[3]}
	if stem || depthwise {
		o, i := w.Shape[0], w.Shape[1]
		// O/B × I × kh × kw × B
		v := e.once("split", "Reshape", []string{e.in(w), e.ints(o/b, b, i, kernel[0], kernel[1])})
		v = e.once("out last", "Transpose", []string{v}, onnx.AttrInts("perm", 0, 2, 3, 4, 1))
		v = e.once("", "Reshape", []string{v, e.ints(o, i, kernel[0], kernel[1])})
		in := e.in
		if depthwise {
			in = e.blk
		}
		e.blockedConv(in(x), v, bias, "", e.outBlk(n.Out[0]), kernel, a)
		return true
	}
	name, o, i := e.wide(w, a.Groups, merge)
	a.Groups /= merge
	// O/B × I/B × kh × kw × B(in) × B(out)
	v := e.once("split", "Reshape", []string{name, e.ints(o/b, b, i/b, b, kernel[0], kernel[1])})
	v = e.once("in, out last", "Transpose", []string{v}, onnx.AttrInts("perm", 0, 2, 4, 5, 3, 1))
	v = e.once("", "Reshape", []string{v, e.ints(o, i, kernel[0], kernel[1])})
	e.blockedConv(e.blk(x), v, bias, "", e.outBlk(n.Out[0]), kernel, a)
	return true
}

// mostMerged is how many groups a convolution on blocks may be merged into one,
// which costs as many times the multiplications.
const mostMerged = 8

// merge tells how many neighbouring groups of a convolution by w to treat as one
// so that each fills whole blocks; ok is false where that is not possible or
// wasteful.
func (e *Emitter) merge(groups int, w ir.Shape) (m int, ok bool) {
	b := e.opts.Block
	if b == 0 {
		return 1, false
	}
	for m = 1; m <= mostMerged && m <= groups; m++ {
		if groups%m == 0 && m*w[1]%b == 0 && m*w[0]/groups%b == 0 {
			return m, true
		}
	}
	return 1, false
}

// wide emits weights O×I×kh×kw of groups as those of a convolution in groups/m
// groups: O×(I·m)×kh×kw, zero where an output does not see an input.
func (e *Emitter) wide(w *ir.Value, groups, m int) (name string, o, i int) {
	s := w.Shape
	if m == 1 {
		return e.in(w), s[0], s[1]
	}
	per, taps := s[0]/groups, s[2]*s[3]
	own := make([]float32, m*m)
	for k := range m {
		own[k*m+k] = 1
	}
	mask := e.floats(ir.Shape{m, 1, m, 1}, own)
	v := e.once("", "Reshape", []string{e.in(w), e.ints(groups/m, m, per, 1, s[1]*taps)})
	v = e.once("", "Mul", []string{v, mask})
	return e.once("", "Reshape", []string{v, e.ints(s[0], m*s[1], s[2], s[3])}), s[0], m * s[1]
}

// convFlippedBlocked emits the input gradient of a convolution of stride 1 as a
// convolution with flipped weights, on blocks, adding the value sum (nil for
// none) to it, as out.
func (e *Emitter) convFlippedBlocked(n *ir.Node, sum, out *ir.Value) bool {
	op, w := n.Op.(ir.ConvGradInput), n.In[1]
	pad, ok := flippedPad(op, w.Shape)
	if !ok || !e.gradBlocked(n) {
		return false
	}
	kernel := [2]int{w.Shape[2], w.Shape[3]}
	f, groups := e.gradFilter(w, op.Groups, reversed(w.Shape), kernel)
	add := ""
	if sum != nil {
		add = e.blk(sum)
	}
	a := ir.ConvAttr{Stride: op.Stride, Dilation: op.Dilation, Pad: pad, Groups: groups}
	e.blockedConv(e.blk(n.In[0]), f, "", add, e.outBlk(out), kernel, a)
	return true
}

// gradBlocked reports whether an input gradient can be a convolution on blocks.
func (e *Emitter) gradBlocked(n *ir.Node) bool {
	a, w := n.Op.(ir.ConvGradInput).ConvAttr, n.In[1].Shape
	_, ok := e.merge(a.Groups, w)
	return e.blockable(n.In[0]) && e.blockable(n.Out[0]) && (ok || a.Depthwise(w))
}

// gradFilter emits the given taps of w, in that order and as a kernel of the
// given size, as the filter on blocks of a convolution from w's output channels
// to its input channels, and returns the number of its groups.
func (e *Emitter) gradFilter(w *ir.Value, groups int, taps []int, kernel [2]int) (string, int) {
	b, s := e.opts.Block, w.Shape
	name, o, i := e.in(w), s[0], s[1]
	depthwise := groups > 1 && s[0] == groups && s[1] == 1
	if groups > 1 && !depthwise {
		m, _ := e.merge(groups, s)
		name, o, i = e.wide(w, groups, m)
		groups /= m
	}
	if all := s[2] * s[3]; all > 1 {
		name = e.do("Gather", []string{e.once("taps", "Reshape", []string{name, e.ints(o, i, all)}), e.ints(taps...)}, onnx.AttrInt("axis", 2))
	}
	if depthwise {
		// C/B × taps × B
		name = e.do("Transpose", []string{e.reshape(name, o/b, b, len(taps))}, onnx.AttrInts("perm", 0, 2, 1))
		return e.reshape(name, o, 1, kernel[0], kernel[1]), groups
	}
	// Of each group: I/B × O/B × taps × B(out) × B(in)
	if groups == 1 {
		name = e.reshape(name, o/b, b, i/b, b, len(taps))
		name = e.do("Transpose", []string{name}, onnx.AttrInts("perm", 2, 0, 4, 1, 3))
		return e.reshape(name, i, o, kernel[0], kernel[1]), groups
	}
	name = e.reshape(name, groups, o/groups/b, b, i/b, b, len(taps))
	name = e.do("Transpose", []string{name}, onnx.AttrInts("perm", 0, 3, 1, 5, 2, 4))
	return e.reshape(name, groups*i, o/groups, kernel[0], kernel[1]), groups
}

// emitConvPhases serves the input gradient of a convolution of stride 2 on even
// maps. Each of the four pixel phases of dx sees its own subset of the taps, so
// it is a convolution of stride 1 of dy with just those taps; a gather of whole
// blocks puts the phases in their places.
func emitConvPhases(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradInput)
	w, b := n.In[1], e.opts.Block
	if !e.gradBlocked(n) ||
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
	i := n.Out[0].Shape[1]
	h, wd := op.Input[0]/2, op.Input[1]/2
	rows := dy[0] * (i / b) * h * wd
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
			kernel := [2]int{len(v.taps), len(u.taps)}
			f, groups := e.gradFilter(w, op.Groups, taps, kernel)
			y := e.tmp("phase")
			e.blockedConv(e.blk(n.In[0]), f, "", "", y, kernel, ir.ConvAttr{
				Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: groups,
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

package lower

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// The blocked layout of ONNX Runtime's CPU kernels. The operators of domain
// com.microsoft.nchwc are what the runtime's own optimizer emits for constant
// weights; a model may name them itself. Weights are arranged in the graph.
//
// Since a blocked tensor is a permutation of the plain one under the same
// declared shape, element-wise operators work on it as they are, and it may be
// reshaped along its physical order N, C/B, H, W, B.

func init() {
	register("Add", form{name: "blocked", rank: worse(-1), emit: elementwiseBlocked("Add")})
	register("Relu", form{name: "blocked", rank: worse(-1), emit: elementwiseBlocked("Relu")})
	register("Mul", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		return e.mulBlocked(n, n.In[0], n.In[1])
	}})
	register("Shake", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		return e.mulBlocked(n, n.In[0], n.In[1])
	}})
	register("Concat", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		// The channel blocks of an image follow one another.
		if n.Op.(ir.Concat).Axis != 1 || !e.anyBlocked(n) {
			return false
		}
		in := make([]string, len(n.In))
		for i, v := range n.In {
			in[i] = e.blk(v)
		}
		e.emit("Concat", in, []string{e.outBlk(n.Out[0])}, onnx.AttrInt("axis", 1))
		return true
	}})
	register("Sum", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		x, axes := n.In[0], n.Op.(ir.Sum).Axes
		if axes != ir.Axes(2, 3) && axes != ir.Axes(0, 2, 3) || !e.anyBlocked(n) {
			return false
		}
		s := x.Shape
		sum := e.do("com.microsoft.nchwc:GlobalAveragePool", []string{e.blk(x)})
		if axes == ir.Axes(0, 2, 3) {
			sum = e.do("ReduceSum", []string{e.reshape(sum, s[0], s[1]), e.ints(0)}, onnx.AttrInt("keepdims", 0))
		}
		sum = e.do("Mul", []string{sum, e.scalar(float32(s[2] * s[3]))})
		e.emit("Reshape", []string{sum, e.ints(n.Out[0].Shape...)}, []string{e.out(n.Out[0])})
		return true
	}})
	register("ReluGrad", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.anyBlocked(n) {
			return false
		}
		mask := e.once("steep", "HardSigmoid", []string{e.blk(n.In[1])}, onnx.AttrFloat("alpha", steep), onnx.AttrFloat("beta", 0))
		e.emit("Mul", []string{e.blk(n.In[0]), mask}, []string{e.outBlk(n.Out[0])})
		return true
	}})
	register("GlobalAvgPool", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.anyBlocked(n) {
			return false
		}
		// With one pixel a map, blocks and channels are in the same order.
		y := e.do("com.microsoft.nchwc:GlobalAveragePool", []string{e.blk(n.In[0])})
		s := n.In[0].Shape
		e.emit("Reshape", []string{y, e.ints(s[0], s[1])}, []string{e.out(n.Out[0])})
		return true
	}})
	register("GlobalAvgPoolGrad", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.blockable(n.Out[0]) {
			return false
		}
		in, s := n.Op.(ir.GlobalAvgPoolGrad).Input, n.In[0].Shape
		d := e.do("Mul", []string{e.in(n.In[0]), e.scalar(1 / float32(in[0]*in[1]))})
		blocks := s[0] * s[1] / e.opts.Block
		d = e.reshape(d, blocks, 1, e.opts.Block)
		d = e.do("Expand", []string{d, e.ints(blocks, in[0]*in[1], e.opts.Block)})
		e.emit("Reshape", []string{d, e.ints(s[0], s[1], in[0], in[1])}, []string{e.outBlk(n.Out[0])})
		return true
	}})
	register("Slice", form{name: "blocked", rank: worse(-1), emit: emitSliceBlocked})
	register("SliceGrad", form{name: "blocked", rank: worse(-1), emit: emitSliceGradBlocked})
	register("Pad", form{name: "blocked", rank: worse(-1), emit: emitPadBlocked})
}

// blockable reports whether v has a blocked layout, or channels last where that
// is the layout of maps.
func (e *Emitter) blockable(v *ir.Value) bool {
	if e.channelsLast() {
		return e.lastable(v)
	}
	b := e.opts.Block
	return b > 0 && v.DType == ir.Float32 && !e.g.DynamicBatch && len(v.Shape) == 4 && v.Shape[1]%b == 0
}

// isBlocked reports whether v exists in blocks.
func (e *Emitter) isBlocked(v *ir.Value) bool { return e.blocked[v] != "" }

// anyBlocked reports whether all inputs of n have a blocked layout and at least
// one exists in it, or the caller forces the blocked form: then n should work
// on blocks.
func (e *Emitter) anyBlocked(n *ir.Node) bool {
	any := e.opts.Forms[n.Op.Kind()] == "blocked" || e.opts.Forms[n.Op.Kind()] == lastForm
	for _, v := range n.In {
		if !e.blockable(v) {
			return false
		}
		any = any || e.isBlocked(v)
	}
	return any
}

// blk returns the name of v in blocks, reordering it if necessary.
func (e *Emitter) blk(v *ir.Value) string {
	if e.widened != nil && v.DType == ir.Float16 {
		return e.widen(e.widenedLast, v, e.blk)
	}
	if e.blocked[v] == "" {
		if e.channelsLast() {
			e.blocked[v] = e.toLast(v)
		} else {
			e.blocked[v] = e.do("com.microsoft.nchwc:ReorderInput", []string{e.in(v)})
		}
	}
	return e.blocked[v]
}

// outBlk names a value that is about to be emitted in blocks.
func (e *Emitter) outBlk(v *ir.Value) string {
	if e.widened != nil && v.DType == ir.Float16 {
		return e.outWidened(e.widenedLast, v)
	}
	layout := ".blocked"
	if e.channelsLast() {
		layout = ".last"
	}
	e.blocked[v] = e.fresh(v.Name + layout)
	return e.blocked[v]
}

func elementwiseBlocked(op string) func(*Emitter, *ir.Node) bool {
	return func(e *Emitter, n *ir.Node) bool {
		if !e.anyBlocked(n) || len(n.In) == 2 && !n.In[0].Shape.Equal(n.In[1].Shape) {
			return false
		}
		var in []string
		for _, v := range n.In {
			in = append(in, e.blk(v))
		}
		e.emit(op, in, []string{e.outBlk(n.Out[0])})
		return true
	}
}

// mulBlocked serves products of maps; of a map with one factor for all or for
// each image, N×1×1×1, which is the same in every layout; and with one factor
// for each channel, of each image or of all: a map of one pixel is in the order
// of the blocks.
func (e *Emitter) mulBlocked(n *ir.Node, a, b *ir.Value) bool {
	if a.Shape.Size() < b.Shape.Size() {
		a, b = b, a
	}
	if a.Shape.Equal(b.Shape) {
		if !e.anyBlocked(n) {
			return false
		}
		e.emit("Mul", []string{e.blk(a), e.blk(b)}, []string{e.outBlk(n.Out[0])})
		return true
	}
	if !e.blockable(a) || !e.isBlocked(a) && e.opts.Forms[n.Op.Kind()] != "blocked" {
		return false
	}
	s, f := a.Shape, b.Shape
	switch {
	case f.Size() == 1 && len(f) <= len(s), f.Equal(ir.Shape{s[0], 1, 1, 1}):
		e.emit("Mul", []string{e.blk(a), e.in(b)}, []string{e.outBlk(n.Out[0])})
		return true
	case f.Equal(ir.Shape{s[0], s[1], 1, 1}), f.Equal(ir.Shape{1, s[1], 1, 1}):
		blk := e.opts.Block
		x := e.reshape(e.blk(a), s[0], s[1]/blk, s[2]*s[3], blk)
		y := e.do("Mul", []string{x, e.reshape(e.in(b), f[0], s[1]/blk, 1, blk)})
		e.emit("Reshape", []string{y, e.ints(s...)}, []string{e.outBlk(n.Out[0])})
		return true
	}
	return false
}

// selection emits a 1×1 convolution on blocks that copies channel first+i of x
// to channel offset+i of the result, for i below count, and leaves the other
// channels zero. Channel ranges need not be multiples of the block.
func (e *Emitter) selection(x string, in, out, first, offset, count, stride int, name string) {
	b := e.opts.Block
	key := fmt.Sprintf("selection %d %d %d %d %d", in, out, first, offset, count)
	w := e.consts[key]
	if w == "" {
		// OIHWBiBo: [out/B][in/B][in within block][out within block]
		data := make([]float32, in*out)
		for i := range count {
			o, c := offset+i, first+i
			data[((o/b*(in/b)+c/b)*b+c%b)*b+o%b] = 1
		}
		w = e.fresh("selection")
		e.graph.Initializer = append(e.graph.Initializer,
			onnx.Floats(w, []int64{int64(out), int64(in), 1, 1}, data))
		e.consts[key] = w
	}
	e.emit("com.microsoft.nchwc:Conv", []string{x, w}, []string{name},
		onnx.AttrInts("kernel_shape", 1, 1), onnx.AttrInts("strides", int64(stride), int64(stride)))
}

// emitSliceBlocked serves slices of channels and subsampling from the first
// pixel. The batch must be kept whole.
func emitSliceBlocked(e *Emitter, n *ir.Node) bool {
	op, s := n.Op.(ir.Slice), n.In[0].Shape
	if !e.anyBlocked(n) || !e.blockable(n.Out[0]) || op.Size[0] != s[0] || op.Step[1] != 1 ||
		op.Start[2] != 0 || op.Start[3] != 0 || op.Step[2] != op.Step[3] {
		return false
	}
	for i := 2; i < 4; i++ {
		if op.Size[i] != (s[i]+op.Step[i]-1)/op.Step[i] {
			return false
		}
	}
	if b := e.opts.Block; op.Step[2] == 1 && op.Start[1]%b == 0 {
		// Whole blocks lie together.
		e.emit("Slice", []string{e.blk(n.In[0]), e.ints(op.Start[1]), e.ints(op.Start[1] + op.Size[1]), e.ints(1)},
			[]string{e.outBlk(n.Out[0])})
		return true
	}
	e.selection(e.blk(n.In[0]), s[1], op.Size[1], op.Start[1], 0, op.Size[1], op.Step[2], e.outBlk(n.Out[0]))
	return true
}

// emitPadBlocked serves padding of channels.
func emitPadBlocked(e *Emitter, n *ir.Node) bool {
	op, s := n.Op.(ir.Pad), n.In[0].Shape
	if !e.anyBlocked(n) || !e.blockable(n.Out[0]) {
		return false
	}
	for _, i := range []int{0, 2, 3} {
		if op.Before[i] != 0 || op.After[i] != 0 {
			return false
		}
	}
	e.selection(e.blk(n.In[0]), s[1], n.Out[0].Shape[1], 0, op.Before[1], s[1], 1, e.outBlk(n.Out[0]))
	return true
}

// emitSliceGradBlocked serves the gradient of a slice of whole blocks, and of subsampling: rows and columns of
// zeros between the pixels, which are runs of a block's length.
func emitSliceGradBlocked(e *Emitter, n *ir.Node) bool {
	op, dy := n.Op.(ir.SliceGrad), n.In[0].Shape
	if e.anyBlocked(n) && e.blockable(n.Out[0]) && op.Start[1]%e.opts.Block == 0 &&
		op.Slice == ir.Range(n.Out[0].Shape, 1, op.Start[1], dy[1]) {
		after := op.Input[1] - op.Start[1] - dy[1]
		e.emit("Pad", []string{e.blk(n.In[0]), e.ints(0, op.Start[1], 0, 0, 0, after, 0, 0)}, []string{e.outBlk(n.Out[0])})
		return true
	}
	if !e.anyBlocked(n) || op.Start != [ir.MaxRank]int{} || op.Step[0] != 1 || op.Step[1] != 1 ||
		op.Input[0] != dy[0] || op.Input[1] != dy[1] {
		return false
	}
	for i := 2; i < 4; i++ {
		if op.Input[i] != dy[i]*op.Step[i] {
			return false
		}
	}
	b := e.opts.Block
	rows := dy[0] * dy[1] / b
	x := e.reshape(e.blk(n.In[0]), rows, dy[2], 1, dy[3], b)
	x = e.do("Pad", []string{x, e.ints(0, 0, 0, 0, 0, 0, 0, op.Step[2]-1, 0, (op.Step[3]-1)*b)})
	e.emit("Reshape", []string{x, e.ints(op.Input[:]...)}, []string{e.outBlk(n.Out[0])})
	return true
}

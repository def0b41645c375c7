package lower

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Pooling on CUDA. The kernels know the padding before a map alone; where that
// after it differs, the map is padded first.

func init() {
	registerCUDA("MaxPool", form{name: "direct", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		a := n.Op.(ir.MaxPool).PoolAttr
		if !a.Evenly() {
			return false
		}
		e.emit("MaxPool", e.inputs(n), []string{e.out(n.Out[0])}, poolAttrs(a)...)
		return true
	}})
	registerCUDA("MaxPool", form{name: "padded", half: true, rank: worse(1), emit: func(e *Emitter, n *ir.Node) bool {
		a := n.Op.(ir.MaxPool).PoolAttr
		x := e.padMap(n.In[0], a, float32(math.Inf(-1)))
		a.Pad = [4]int{}
		e.emit("MaxPool", []string{x}, []string{e.out(n.Out[0])}, poolAttrs(a)...)
		return true
	}})
	registerCUDA("AvgPool", form{name: "direct", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.AvgPool)
		if !op.Evenly() {
			return false
		}
		e.emit("AveragePool", e.inputs(n), []string{e.out(n.Out[0])}, avgPoolAttrs(op)...)
		return true
	}})
	registerCUDA("AvgPool", form{name: "padded", half: true, rank: worse(1), emit: emitAvgPoolPadded})
	registerCUDA("MaxPoolGrad", form{name: "scatter", emit: emitMaxPoolScatter})
	borrow("MaxPoolGrad", "taps", worse(1))
	borrow("AvgPoolGrad", "taps", worse(1))
	registerCUDA("AvgPoolGrad", form{name: "conv_transpose", half: true, rank: worse(2), emit: emitAvgPoolSpread})
}

// padMap emits x surrounded by a pooling's padding.
func (e *Emitter) padMap(x *ir.Value, a ir.PoolAttr, with float32) string {
	if a.Pad == [4]int{} {
		return e.in(x)
	}
	p := a.Pad
	return e.do("Pad", []string{e.in(x), e.ints(0, 0, p[0], p[1], 0, 0, p[2], p[3]), e.scalar(with)})
}

// emitAvgPoolPadded averages over the padding too, and takes that back where
// it does not count.
func emitAvgPoolPadded(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.AvgPool)
	x, y := n.In[0].Shape, n.Out[0].Shape
	whole := ir.AvgPool{PoolAttr: op.PoolAttr, CountPad: true}
	whole.Pad = [4]int{}
	in := []string{e.padMap(n.In[0], op.PoolAttr, 0)}
	if op.CountPad || op.Pad == [4]int{} {
		e.emit("AveragePool", in, []string{e.out(n.Out[0])}, avgPoolAttrs(whole)...)
		return true
	}
	var factors []float32
	for _, r := range op.Counts(0, x[2]) {
		for _, q := range op.Counts(1, x[3]) {
			factors = append(factors, float32(op.Kernel[0]*op.Kernel[1])/float32(r*q))
		}
	}
	avg := e.do("AveragePool", in, avgPoolAttrs(whole)...)
	f := e.floats(ir.Shape{y[2], y[3]}, factors)
	e.emit("Mul", []string{avg, f}, []string{e.out(n.Out[0])})
	return true
}

// exactOnes is up to where float32 tells whole numbers apart.
const exactOnes = 1 << 23

// emitMaxPoolScatter takes the places of the maxima from MaxPool and adds to them.
// The gradient belongs to the first of equal ones in row-major order, but CUDA's
// kernel goes down the columns (max_pool_with_index.cu), so it gets the maps with
// rows and columns exchanged. The sums are atomic: where windows overlap, their
// order and with it the last digit may vary.
func emitMaxPoolScatter(e *Emitter, n *ir.Node) bool {
	x, dy := n.In[1], n.In[0]
	s, a := x.Shape, n.Op.(ir.MaxPoolGrad).PoolAttr
	if s[0]*s[1]*s[3] < 2 {
		return false // see emitMaxPoolIndices
	}
	in, size := e.in(x), s
	if !a.Evenly() {
		p := a.Pad
		in, size = e.padMap(x, a, float32(math.Inf(-1))), ir.Shape{s[0], s[1], s[2] + p[0] + p[2], s[3] + p[1] + p[3]}
		a.Pad = [4]int{}
	}
	swap := onnx.AttrInts("perm", 0, 1, 3, 2)
	turn := func(v string) string { return e.do("Transpose", []string{v}, swap) }
	turned := ir.PoolAttr{Kernel: [2]int{a.Kernel[1], a.Kernel[0]}, Stride: [2]int{a.Stride[1], a.Stride[0]}, Pad: [4]int{a.Pad[1], a.Pad[0], a.Pad[3], a.Pad[2]}}
	// Where nothing in a window is more than its first number less one (NaN, or
	// numbers of which one is less than the last digit), the kernel reads before
	// the map.
	in = turn(e.do("Clip", []string{in, e.scalar(-exactOnes), e.scalar(exactOnes)}))
	in = e.do("Where", []string{e.do("IsNaN", []string{in}), e.scalar(0), in})
	index := e.tmp("index")
	e.emit("MaxPool", []string{in}, []string{e.tmp("max"), index}, poolAttrs(turned)...)
	flat := e.reshape(turn(e.in(dy)), -1)
	d := e.do("ScatterElements", []string{e.zerosLike(flat, size.Size()), e.reshape(index, -1), flat},
		onnx.AttrInt("axis", 0), onnx.AttrString("reduction", "add"))
	d = e.reshape(d, size[0], size[1], size[3], size[2])
	if size.Equal(s) {
		e.emit("Transpose", []string{d}, []string{e.out(n.Out[0])}, swap)
		return true
	}
	p := n.Op.(ir.MaxPoolGrad).Pad
	e.emit("Slice", []string{turn(d), e.ints(p[0], p[1]), e.ints(p[0]+s[2], p[1]+s[3]), e.ints(2, 3)}, []string{e.out(n.Out[0])})
	return true
}

// zerosLike emits a vector of zeros that the runtime does not take for a
// constant, which would keep its memory: the first element of x, a vector,
// says whether it is less than itself.
func (e *Emitter) zerosLike(x string, size int) string {
	first := e.do("Slice", []string{x, e.ints(0), e.ints(1), e.ints(0)})
	zero := e.do("Cast", []string{e.do("Less", []string{first, first})}, onnx.AttrInt("to", int64(elem(e.elem()))))
	return e.do("Expand", []string{zero, e.ints(size)})
}

// emitAvgPoolSpread spreads the gradient by a transposed convolution of every
// channel with a window of ones.
func emitAvgPoolSpread(e *Emitter, n *ir.Node) bool {
	op, dy := n.Op.(ir.AvgPoolGrad), n.In[0]
	channels := dy.Shape[1]
	share := make([]float32, 0, dy.Shape[2]*dy.Shape[3])
	for _, r := range op.Counts(0, op.Input[0]) {
		for _, q := range op.Counts(1, op.Input[1]) {
			share = append(share, 1/float32(r*q))
		}
	}
	d := e.mul(e.in(dy), e.floats(ir.Shape{dy.Shape[2], dy.Shape[3]}, share))
	ones := make([]float32, channels*op.Kernel[0]*op.Kernel[1])
	for i := range ones {
		ones[i] = 1
	}
	w := e.floats(ir.Shape{channels, 1, op.Kernel[0], op.Kernel[1]}, ones)
	a := ir.ConvAttr{Stride: op.Stride, Dilation: [2]int{1, 1}, Pad: op.Pad, Groups: channels}
	e.convTransposeCut(d, w, dy.Shape, op.Kernel, a, op.Input, e.out(n.Out[0]))
	return true
}

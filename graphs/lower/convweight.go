package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// The weight gradient of a convolution,
//
//	dw[o,c,i,j] = Σ_n Σ_p Σ_q dy[n,o,p,q] · x̂[n,c, p·s+i·d, q·s+j·d]
//
// with x̂ the padded input, has no kernel of its own in the stock runtime. The
// forms differ in what they copy to turn it into matrix products.

func init() {
	register("ConvGradWeight", form{name: "pointwise", rank: worse(0), half: true, emit: emitWeightPointwise})
	register("ConvGradWeight", form{name: "shifts", rank: worse(0.7), half: true, emit: emitWeightShifts})
	register("ConvGradWeight", form{name: "taps", rank: worse(2), half: true, emit: emitWeightTaps})
	register("ConvGradWeight", form{name: "big_filter", rank: worse(3), half: true, emit: emitWeightBigFilter})
}

// emitWeightPointwise: a 1×1 kernel without padding needs no copies, or one
// strided slice. One product per image, then a sum over the batch.
func emitWeightPointwise(e *Emitter, n *ir.Node) bool {
	xs, ok := e.pointwiseInput(n)
	if !ok {
		return false
	}
	dy, x := n.In[0].Shape, n.In[1].Shape
	p := dy[2] * dy[3]
	d := e.imageProducts(e.reshape(e.in(n.In[0]), dy[0], dy[1], p), e.reshape(xs, x[0], x[1], p))
	e.emit("Reshape", []string{d, e.ints(dy[1], x[1], 1, 1)}, []string{e.out(n.Out[0])})
	return true
}

// pointwiseInput returns the input that a 1×1 kernel without padding and groups
// reads, of dy's height and width; it emits nothing for another kernel.
func (e *Emitter) pointwiseInput(n *ir.Node) (x string, ok bool) {
	op := n.Op.(ir.ConvGradWeight)
	if op.Kernel != [2]int{1, 1} || op.Pad != [4]int{} || op.Groups != 1 {
		return "", false
	}
	x = e.in(n.In[1])
	if op.Stride != [2]int{1, 1} {
		x = e.tapSlice(x, n.In[0].Shape, op.ConvAttr, 0, 0)
	}
	return x, true
}

// imageProducts emits Σ_n a[n]·b[n]ᵀ for a N×A×P and b N×B×P: A×B, float32.
func (e *Emitter) imageProducts(a, b string) string {
	prod := e.do("com.microsoft:FusedMatMul", []string{a, b}, onnx.AttrInt("transB", 1))
	return e.do("ReduceSum", []string{e.float32(prod), e.ints(0)}, onnx.AttrInt("keepdims", 0))
}

// tapSlice emits the part of the padded input that tap (i, j) reads: as many
// rows and columns as dy has, in steps of the stride.
func (e *Emitter) tapSlice(x string, dy ir.Shape, a ir.ConvAttr, i, j int) string {
	r, c := i*a.Dilation[0], j*a.Dilation[1]
	return e.do("Slice", []string{x, e.ints(r, c),
		e.ints(r+(dy[2]-1)*a.Stride[0]+1, c+(dy[3]-1)*a.Stride[1]+1),
		e.ints(2, 3), e.ints(a.Stride[0], a.Stride[1])})
}

// padded emits x surrounded by the convolution's padding.
func (e *Emitter) padded(x *ir.Value, a ir.ConvAttr) string {
	if a.Pad == [4]int{} {
		return e.in(x)
	}
	p := a.Pad
	return e.once("", "Pad", []string{e.in(x), e.ints(0, 0, p[0], p[1], 0, 0, p[2], p[3])})
}

// emitWeightShifts splits the shift of a tap between its operands: copies of x
// shifted by each column offset, copies of dy shifted by each row offset, and
// one batched product whose blocks are all kh·kw taps. kw+kh copies instead of
// kh·kw. Stride 1 only.
func emitWeightShifts(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	if op.Stride != [2]int{1, 1} || op.Groups != 1 {
		return false
	}
	dy, x := n.In[0].Shape, n.In[1].Shape
	kh, kw := op.Kernel[0], op.Kernel[1]
	top := (kh-1)*op.Dilation[0] - op.Pad[0]
	bottom := x[2] - 1 + op.Pad[0] - (dy[2] - 1)
	if top < 0 || bottom < 0 {
		return false
	}
	// Row h of the copy for tap row i holds dy row h − i·d + pad.
	tall := e.in(n.In[0])
	if top != 0 || bottom != 0 {
		tall = e.do("Pad", []string{tall, e.ints(0, 0, top, 0, 0, 0, bottom, 0)})
	}
	rows := make([]string, kh)
	for i := range kh {
		start := (kh - 1 - i) * op.Dilation[0]
		rows[i] = e.do("Slice", []string{tall, e.ints(start), e.ints(start + x[2]), e.ints(2)})
	}
	wide := e.in(n.In[1])
	if op.Pad[1] != 0 || op.Pad[3] != 0 {
		wide = e.do("Pad", []string{wide, e.ints(0, 0, 0, op.Pad[1], 0, 0, 0, op.Pad[3])})
	}
	cols := make([]string, kw)
	for j := range kw {
		start := j * op.Dilation[1]
		cols[j] = e.do("Slice", []string{wide, e.ints(start), e.ints(start + dy[3]), e.ints(3)})
	}
	p := x[2] * dy[3]
	a := e.reshape(e.join(rows), dy[0], kh*dy[1], p)
	b := e.reshape(e.join(cols), x[0], kw*x[1], p)
	d := e.reshape(e.imageProducts(a, b), kh, dy[1], kw, x[1])
	e.emit("Transpose", []string{d}, []string{e.out(n.Out[0])}, onnx.AttrInts("perm", 1, 3, 0, 2))
	return true
}

// join concatenates along the channels.
func (e *Emitter) join(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return e.do("Concat", parts, onnx.AttrInt("axis", 1))
}

// emitWeightTaps is im2col: one slice of the padded input per tap, one product.
// It serves every stride, dilation and number of groups.
func emitWeightTaps(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	dy, x := n.In[0].Shape, n.In[1].Shape
	kh, kw, groups := op.Kernel[0], op.Kernel[1], op.Groups
	xp := e.padded(n.In[1], op.ConvAttr)
	p := dy[2] * dy[3]
	in, out := x[1]/groups, dy[1]/groups
	var taps []string
	for i := range kh {
		for j := range kw {
			taps = append(taps, e.tapSlice(xp, dy, op.ConvAttr, i, j))
		}
	}
	if groups == 1 {
		b := e.reshape(e.join(taps), x[0], kh*kw*in, p)
		d := e.imageProducts(e.reshape(e.in(n.In[0]), dy[0], out, p), b)
		d = e.reshape(d, out, kh, kw, in)
		e.emit("Transpose", []string{d}, []string{e.out(n.Out[0])}, onnx.AttrInts("perm", 0, 3, 1, 2))
		return true
	}
	for i, t := range taps {
		taps[i] = e.reshape(t, x[0]*groups, in, p)
	}
	b := e.join(taps) // (N·G)×(kh·kw·in)×P
	a := e.reshape(e.in(n.In[0]), dy[0]*groups, out, p)
	prod := e.do("com.microsoft:FusedMatMul", []string{a, b}, onnx.AttrInt("transB", 1))
	d := e.do("ReduceSum", []string{e.reshape(e.float32(prod), x[0], groups*out*kh*kw*in), e.ints(0)}, onnx.AttrInt("keepdims", 0))
	d = e.reshape(d, groups*out, kh, kw, in)
	e.emit("Transpose", []string{d}, []string{e.out(n.Out[0])}, onnx.AttrInts("perm", 0, 3, 1, 2))
	return true
}

// emitWeightBigFilter exchanges batch and channels: the gradient is then a
// convolution of x with dy as its filter, stride and dilation trading places.
func emitWeightBigFilter(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradWeight)
	if op.Groups != 1 {
		return false
	}
	dy := n.In[0].Shape
	swap := onnx.AttrInts("perm", 1, 0, 2, 3)
	a := op.ConvAttr
	a.Stride, a.Dilation = op.Dilation, op.Stride
	x := n.In[1].Shape
	size, err := a.OutSize([2]int{x[2], x[3]}, [2]int{dy[2], dy[3]})
	if err != nil {
		return false
	}
	xt := e.do("Transpose", []string{e.in(n.In[1])}, swap)
	dyt := e.do("Transpose", []string{e.in(n.In[0])}, swap)
	d := e.float32(e.do("Conv", []string{xt, dyt}, convAttrs(a)...)) // C×O×≥kh×≥kw
	// Input rows that the forward stride left unread add taps beyond the kernel.
	if size != op.Kernel {
		d = e.do("Slice", []string{d, e.ints(0, 0), e.ints(op.Kernel[0], op.Kernel[1]), e.ints(2, 3)})
	}
	e.emit("Transpose", []string{d}, []string{e.out(n.Out[0])}, swap)
	return true
}

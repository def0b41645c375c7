package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

func init() {
	register("Conv", form{name: "conv", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		a := n.Op.(ir.Conv).ConvAttr
		e.emit("Conv", e.inputs(n), []string{e.out(n.Out[0])}, convAttrs(a)...)
		return true
	}})
	register("ConvGradInput", form{name: "conv_flipped", half: true, emit: emitConvFlipped})
	register("ConvGradInput", form{name: "conv_transpose", rank: worse(1), half: true, emit: emitConvTranspose})
}

func convAttrs(a ir.ConvAttr) []*onnx.AttributeProto {
	var attrs []*onnx.AttributeProto
	if a.Stride != [2]int{1, 1} {
		attrs = append(attrs, attrPair("strides", a.Stride))
	}
	if a.Pad != [4]int{} {
		attrs = append(attrs, attrPads(a.Pad))
	}
	if a.Dilation != [2]int{1, 1} {
		attrs = append(attrs, attrPair("dilations", a.Dilation))
	}
	if a.Groups != 1 {
		attrs = append(attrs, onnx.AttrInt("group", int64(a.Groups)))
	}
	return attrs
}

func attrPair(name string, p [2]int) *onnx.AttributeProto {
	return onnx.AttrInts(name, int64(p[0]), int64(p[1]))
}

func attrPads(p [4]int) *onnx.AttributeProto {
	return onnx.AttrInts("pads", int64(p[0]), int64(p[1]), int64(p[2]), int64(p[3]))
}

// flippedWeights emits w O×(C/G)×kh×kw of a convolution in G groups with input
// and output channels of each group exchanged and both spatial axes reversed:
// C×(O/G)×kh×kw.
func (e *Emitter) flippedWeights(w *ir.Value, groups int) string {
	s := w.Shape
	t := e.in(w)
	switch {
	case groups == 1:
		t = e.do("Transpose", []string{t}, onnx.AttrInts("perm", 1, 0, 2, 3))
	case s[0] != groups || s[1] != 1:
		t = e.reshape(t, groups, s[0]/groups, s[1], s[2]*s[3])
		t = e.do("Transpose", []string{t}, onnx.AttrInts("perm", 0, 2, 1, 3))
		t = e.reshape(t, groups*s[1], s[0]/groups, s[2], s[3])
	}
	if s[2] == 1 && s[3] == 1 {
		return t
	}
	// The end of a reversed slice lies before the first element; any value
	// at or below −(size+1) says so.
	const begin = -(1 << 30)
	return e.do("Slice", []string{t, e.ints(-1, -1), e.ints(begin, begin), e.ints(2, 3), e.ints(-1, -1)})
}

// emitConvFlipped: for stride 1 the input gradient is a convolution of dy with
// the flipped weights, which the runtime computes faster than ConvTranspose.
func emitConvFlipped(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradInput)
	w := n.In[1]
	pad, ok := flippedPad(op, w.Shape)
	if !ok {
		return false
	}
	a := ir.ConvAttr{Stride: op.Stride, Dilation: op.Dilation, Pad: pad, Groups: op.Groups}
	e.emit("Conv", []string{e.in(n.In[0]), e.flippedWeights(w, op.Groups)}, []string{e.out(n.Out[0])}, convAttrs(a)...)
	return true
}

// flippedPad returns the padding under which a convolution with the flipped
// weights is the input gradient; ok is false where there is none.
func flippedPad(op ir.ConvGradInput, w ir.Shape) (pad [4]int, ok bool) {
	if op.Stride != [2]int{1, 1} {
		return pad, false
	}
	for i := range 4 {
		pad[i] = (w[2+i%2]-1)*op.Dilation[i%2] - op.Pad[i]
		if pad[i] < 0 {
			return pad, false
		}
	}
	return pad, true
}

// emitConvTranspose serves every convolution. output_padding restores the rows
// and columns that the forward stride left unread.
func emitConvTranspose(e *Emitter, n *ir.Node) bool {
	op := n.Op.(ir.ConvGradInput)
	dy, w := n.In[0].Shape, n.In[1].Shape
	var extra [2]int
	for i := range 2 {
		full := (dy[2+i]-1)*op.Stride[i] + (w[2+i]-1)*op.Dilation[i] + 1
		extra[i] = op.Input[i] + op.Pad[i] + op.Pad[i+2] - full
	}
	attrs := convAttrs(op.ConvAttr)
	if extra != [2]int{} {
		attrs = append(attrs, attrPair("output_padding", extra))
	}
	e.emit("ConvTranspose", e.inputs(n), []string{e.out(n.Out[0])}, attrs...)
	return true
}

package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

func init() {
	register("BatchNormTrain", form{name: "training_mode", emit: emitBatchNormTrain})
	register("BatchNormInfer", form{name: "direct", emit: func(e *Emitter, n *ir.Node) bool {
		e.emit("BatchNormalization", e.inputs(n), []string{e.out(n.Out[0])},
			onnx.AttrFloat("epsilon", n.Op.(ir.BatchNormInfer).Eps))
		return true
	}})
	register("BatchNormGrad", form{name: "affine", emit: func(e *Emitter, n *ir.Node) bool {
		e.batchNormGrad(n, e.in(n.In[0]))
		return true
	}})
	register("ReluGrad", form{name: "step", emit: func(e *Emitter, n *ir.Node) bool {
		e.emit("Mul", []string{e.in(n.In[0]), e.reluMask(n.In[1])}, []string{e.out(n.Out[0])})
		return true
	}})
	register("ReluGrad", form{name: "cast", rank: worse(1), emit: func(e *Emitter, n *ir.Node) bool {
		pos := e.do("Greater", []string{e.in(n.In[1]), e.scalar(0)})
		mask := e.do("Cast", []string{pos}, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT)))
		e.emit("Mul", []string{e.in(n.In[0]), mask}, []string{e.out(n.Out[0])})
		return true
	}})
	register("ReluGrad", form{name: "where", rank: worse(2), emit: func(e *Emitter, n *ir.Node) bool {
		zero := e.scalar(0)
		pos := e.do("Greater", []string{e.in(n.In[1]), zero})
		e.emit("Where", []string{pos, e.in(n.In[0]), zero}, []string{e.out(n.Out[0])})
		return true
	}})
}

// worse is a constant rank.
func worse(r float64) func(*ir.Node, Options) float64 {
	return func(*ir.Node, Options) float64 { return r }
}

// steep is so large that steep·y ≥ 1 for every positive normal float32.
const steep = 3.4e38

// reluMask emits 1 where y > 0 and 0 elsewhere, for y the output of Relu:
// max(0, min(1, steep·y)), one vectorised pass where Greater and Cast are two.
func (e *Emitter) reluMask(y *ir.Value) string {
	return e.once("steep", "HardSigmoid", []string{e.in(y)}, onnx.AttrFloat("alpha", steep), onnx.AttrFloat("beta", 0))
}

// emitBatchNormTrain uses the training mode of BatchNormalization. Its running
// statistics are input·momentum + batch·(1−momentum), so momentum 0 and zero
// inputs return the batch's own mean and biased variance.
func emitBatchNormTrain(e *Emitter, n *ir.Node) bool {
	c := n.In[1].Shape
	zeros := e.zeros(c...)
	e.emit("BatchNormalization",
		[]string{e.in(n.In[0]), e.in(n.In[1]), e.in(n.In[2]), zeros, zeros},
		[]string{e.out(n.Out[0]), e.out(n.Out[1]), e.out(n.Out[2])},
		onnx.AttrFloat("epsilon", n.Op.(ir.BatchNormTrain).Eps),
		onnx.AttrFloat("momentum", 0), onnx.AttrInt("training_mode", 1))
	return true
}

// batchNormGrad emits the gradient as an affine map of dy and x. With
// s = 1/√(var+ε) and M elements per channel:
//
//	dβ = Σ dy,  dγ = s·(Σ dy·x − mean·Σ dy)
//	dx = a·dy + b·x + c,  a = γ·s,  b = −a·s·dγ/M,  c = −a·dβ/M − b·mean
//
// so that dx takes one pass over dy and x whatever the formula's length. dy is
// passed by name because a fusion may have masked it.
func (e *Emitter) batchNormGrad(n *ir.Node, dy string) {
	eps := n.Op.(ir.BatchNormGrad).Eps
	s := n.In[1].Shape
	x, gamma, mean, variance := e.in(n.In[1]), e.in(n.In[2]), e.in(n.In[3]), e.in(n.In[4])
	per := float32(s.Size() / s[1])

	dbeta, dgamma := e.out(n.Out[2]), e.out(n.Out[1])
	e.emit("ReduceSum", []string{dy, e.ints(0, 2, 3)}, []string{dbeta}, onnx.AttrInt("keepdims", 0))
	dot := e.channelDot(dy, x, s)

	std := e.do("Sqrt", []string{e.do("Add", []string{variance, e.scalar(eps)})})
	centred := e.do("Sub", []string{dot, e.do("Mul", []string{mean, dbeta})})
	e.emit("Div", []string{centred, std}, []string{dgamma})

	a := e.do("Div", []string{gamma, std})
	as := e.do("Div", []string{a, std})
	b := e.do("Mul", []string{e.do("Mul", []string{as, dgamma}), e.scalar(-1 / per)})
	c := e.do("Sub", []string{
		e.do("Mul", []string{e.do("Mul", []string{a, dbeta}), e.scalar(-1 / per)}),
		e.do("Mul", []string{b, mean})})
	e.affine2(dy, x, a, b, c, s, e.out(n.Out[0]))
}

// channelDot emits Σ over N, H, W of dy·x for each channel: [C]. Long maps are
// dotted row by row without a temporary; for short ones the cost of a product
// per row exceeds that of a pass over memory.
func (e *Emitter) channelDot(dy, x string, s ir.Shape) string {
	rows, hw := s[0]*s[1], s[2]*s[3]
	if hw < 200 {
		prod := e.do("Mul", []string{dy, x})
		return e.do("ReduceSum", []string{prod, e.ints(0, 2, 3)}, onnx.AttrInt("keepdims", 0))
	}
	u := e.reshape(dy, rows, 1, hw)
	v := e.reshape(x, rows, 1, hw)
	d := e.do("com.microsoft:FusedMatMul", []string{u, v}, onnx.AttrInt("transB", 1))
	return e.do("ReduceSum", []string{e.reshape(d, s[0], s[1]), e.ints(0)}, onnx.AttrInt("keepdims", 0))
}

// affine2 emits out = a·u + b·v + c with a, b, c per channel.
func (e *Emitter) affine2(u, v, a, b, c string, s ir.Shape, out string) {
	shape := e.ints(1, s[1], 1, 1)
	per := func(t string) string { return e.do("Reshape", []string{t, shape}) }
	au := e.do("Mul", []string{u, per(a)})
	bv := e.do("Mul", []string{v, per(b)})
	sum := e.do("Add", []string{bv, per(c)})
	e.emit("Add", []string{au, sum}, []string{out})
}

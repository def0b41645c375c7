package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

func init() {
	register("BatchNormTrain", form{name: "affine", emit: emitBatchNormTrain})
	register("BatchNormInfer", form{name: "direct", emit: func(e *Emitter, n *ir.Node) bool {
		e.emit("BatchNormalization", e.inputs(n), []string{e.out(n.Out[0])},
			onnx.AttrFloat("epsilon", n.Op.(ir.BatchNormInfer).Eps))
		return true
	}})
	register("BatchNormGrad", form{name: "affine", emit: func(e *Emitter, n *ir.Node) bool {
		e.batchNormGrad(n)
		return true
	}})
	// Not in float16, which has no number as large as the slope.
	register("ReluGrad", form{name: "step", emit: func(e *Emitter, n *ir.Node) bool {
		e.emit("Mul", []string{e.in(n.In[0]), e.reluMask(n.In[1])}, []string{e.out(n.Out[0])})
		return true
	}})
	register("ReluGrad", form{name: "cast", rank: worse(1), half: true, emit: func(e *Emitter, n *ir.Node) bool {
		pos := e.do("Greater", []string{e.in(n.In[1]), e.scalar(0)})
		mask := e.do("Cast", []string{pos}, castTo(e.elem()))
		e.emit("Mul", []string{e.in(n.In[0]), mask}, []string{e.out(n.Out[0])})
		return true
	}})
	register("ReluGrad", form{name: "where", rank: worse(2), half: true, emit: func(e *Emitter, n *ir.Node) bool {
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

// emitBatchNormTrain computes the statistics by reductions and applies them as
// an affine map. BatchNormalization's own training mode is not used: on the
// CPU it runs on one thread, and its kernel lets the statistics' outputs share
// memory with their inputs, so that equal inputs (which the runtime merges)
// make mean and variance one buffer.
func emitBatchNormTrain(e *Emitter, n *ir.Node) bool {
	e.apply(n, e.plainTerms(n), nil, false, n.Out[0])
	return true
}

// terms are the a and b, [C], of a norm's affine map a·x + b, and the layout
// they are to be applied in.
type terms struct {
	a, b    string
	blocked bool
	// kernel leaves the map to the kernel library, which takes the statistics.
	kernel bool
}

// normTerms emits the statistics of a norm in the layout that suits its input.
func (e *Emitter) normTerms(n *ir.Node) terms {
	if e.kernelMap(n.In[0]) {
		return e.kernelTerms(n)
	}
	if e.normBlocked(n) {
		return e.blockedTerms(n)
	}
	return e.plainTerms(n)
}

func (e *Emitter) plainTerms(n *ir.Node) terms {
	x, s := e.in(n.In[0]), n.In[0].Shape
	a, b := e.batchStatistics(n, fromConv(n.In[0]), statistics{
		sum: func() string {
			return e.do("ReduceSum", []string{x, e.ints(0, 2, 3)}, onnx.AttrInt("keepdims", 0))
		},
		dot: func(mean string) string {
			if mean == "" {
				return e.channelDot(x, x, s)
			}
			d := e.do("Sub", []string{x, e.reshape(mean, 1, s[1], 1, 1)})
			return e.channelDot(d, d, s)
		},
	})
	return terms{a: a, b: b}
}

// apply emits out = act(a·x + b + z), the rest of a norm and of what is fused
// with it; z may be nil.
func (e *Emitter) apply(n *ir.Node, t terms, z *ir.Value, relu bool, out *ir.Value) {
	if t.kernel {
		e.applyKernel(n, z, relu, out)
		return
	}
	x, s := n.In[0], n.In[0].Shape
	zn := ""
	if t.blocked {
		if z != nil {
			zn = e.blk(z)
		}
		e.affineBlocked(e.blk(x), e.reshape(t.a, s[1], 1, 1, 1), t.b, zn, relu, s, e.outBlk(out))
		return
	}
	if z != nil {
		zn = e.in(z)
	}
	e.affine(e.in(x), t.a, t.b, zn, relu, s, e.out(out))
}

// fromConv reports whether v is a convolution's output: then its mean is of the
// order of its deviation, and the variance may be taken in one pass.
func fromConv(v *ir.Value) bool {
	return v.Node != nil && v.Node.Op.Kind() == "Conv"
}

// statistics emits the sums over a norm's input in its layout: Σx, and Σx² or
// Σ(x−mean)² for each channel, [C].
type statistics struct {
	sum func() string
	dot func(mean string) string
}

// batchStatistics emits mean and biased variance of each channel under the
// names of n's outputs, and returns a and b, [C], of y = a·x + b.
func (e *Emitter) batchStatistics(n *ir.Node, onePass bool, x statistics) (a, b string) {
	mean, variance := e.moments(n, onePass, x)
	std := e.do("Sqrt", []string{e.do("Add", []string{variance, e.scalar(n.Op.(ir.BatchNormTrain).Eps)})})
	a = e.do("Div", []string{e.in(n.In[1]), std})
	b = e.do("Sub", []string{e.in(n.In[2]), e.do("Mul", []string{mean, a})})
	return a, b
}

// moments emits mean and biased variance of each channel under the names of
// n's outputs.
//
// In one pass the variance is E[x²] − mean², which loses (mean/deviation)²
// units of the last place. Otherwise it is E[(x−mean)²].
func (e *Emitter) moments(n *ir.Node, onePass bool, x statistics) (mean, variance string) {
	s := n.In[0].Shape
	mean, variance = e.out(n.Out[1]), e.out(n.Out[2])
	per := e.scalar(1 / float32(s.Size()/s[1]))
	e.emit("Mul", []string{x.sum(), per}, []string{mean})
	if onePass {
		square := e.do("Mul", []string{x.dot(""), per})
		v := e.do("Sub", []string{square, e.do("Mul", []string{mean, mean})})
		e.emit("Max", []string{v, e.scalar(0)}, []string{variance})
	} else {
		e.emit("Mul", []string{x.dot(mean), per}, []string{variance})
	}
	return mean, variance
}

// largeMap tells from how many pixels on a product per map row beats plain
// element-wise operators; below, the cost of a call for each channel of each
// image dominates.
const largeMap = 200

// affine emits out = act(a·x + b + z) with a and b per channel, [C]; z may be
// empty and act is ReLU or nothing. On large maps it is one fused depthwise
// 1×1 convolution.
func (e *Emitter) affine(x, a, b, z string, relu bool, s ir.Shape, out string) {
	if s[2]*s[3] >= largeMap {
		in := []string{x, e.reshape(a, s[1], 1, 1, 1), b}
		if z != "" {
			in = append(in, z)
		}
		attrs := []*onnx.AttributeProto{onnx.AttrInt("group", int64(s[1])), onnx.AttrInts("kernel_shape", 1, 1)}
		if relu {
			attrs = append(attrs, onnx.AttrString("activation", "Relu"))
		}
		e.emit("com.microsoft:FusedConv", in, []string{out}, attrs...)
		return
	}
	shape := e.ints(1, s[1], 1, 1)
	y := e.do("Mul", []string{x, e.do("Reshape", []string{a, shape})})
	terms := []string{e.do("Reshape", []string{b, shape})}
	if z != "" {
		terms = append(terms, z)
	}
	for i, t := range terms {
		if i == len(terms)-1 && !relu {
			e.emit("Add", []string{y, t}, []string{out})
			return
		}
		y = e.do("Add", []string{y, t})
	}
	e.emit("Relu", []string{y}, []string{out})
}

// batchNormGrad emits the gradient.
func (e *Emitter) batchNormGrad(n *ir.Node) {
	s := n.In[1].Shape
	dy, x := e.in(n.In[0]), e.in(n.In[1])
	e.emit("ReduceSum", []string{dy, e.ints(0, 2, 3)}, []string{e.out(n.Out[2])}, onnx.AttrInt("keepdims", 0))
	a, b, c := e.batchNormGradTerms(n, e.channelDot(dy, x, s))
	e.affine2(dy, x, a, b, c, s, e.out(n.Out[0]))
}

// batchNormGradTerms emits what the gradient needs for each channel, given dβ
// (already emitted as n's output 2) and dot = Σ dy·x. With s = 1/√(var+ε) and
// M elements per channel:
//
//	dβ = Σ dy,  dγ = s·(Σ dy·x − mean·Σ dy)
//	dx = a·dy + b·x + c,  a = γ·s,  b = −a·s·dγ/M,  c = −a·dβ/M − b·mean
//
// so that dx takes one pass over dy and x whatever the formula's length. It
// emits dγ as n's output 1 and returns a, b and c, [C].
func (e *Emitter) batchNormGradTerms(n *ir.Node, dot string) (a, b, c string) {
	s := n.In[1].Shape
	gamma, mean, variance := e.in(n.In[2]), e.in(n.In[3]), e.in(n.In[4])
	dbeta, dgamma := e.in(n.Out[2]), e.out(n.Out[1])
	per := e.scalar(-1 / float32(s.Size()/s[1]))

	std := e.do("Sqrt", []string{e.do("Add", []string{variance, e.scalar(n.Op.(ir.BatchNormGrad).Eps)})})
	centred := e.do("Sub", []string{dot, e.do("Mul", []string{mean, dbeta})})
	e.emit("Div", []string{centred, std}, []string{dgamma})

	a = e.do("Div", []string{gamma, std})
	as := e.do("Div", []string{a, std})
	b = e.do("Mul", []string{e.do("Mul", []string{as, dgamma}), per})
	c = e.do("Sub", []string{
		e.do("Mul", []string{e.do("Mul", []string{a, dbeta}), per}),
		e.do("Mul", []string{b, mean})})
	return a, b, c
}

// channelDot emits Σ over N, H, W of dy·x for each channel: [C]. Long maps are
// dotted row by row without a temporary; for short ones the cost of a product
// per row exceeds that of a pass over memory.
func (e *Emitter) channelDot(dy, x string, s ir.Shape) string {
	rows, hw := s[0]*s[1], s[2]*s[3]
	if hw < largeMap {
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
	au := e.do("Mul", []string{u, e.reshape(a, 1, s[1], 1, 1)})
	e.affine(v, b, c, au, false, s, out)
}

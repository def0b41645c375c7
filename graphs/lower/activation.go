package lower

import (
	"math"
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Activations and their gradients are chains of element-wise nodes, the same in
// either layout: each is written once and registered as a form for both.

func init() {
	elementwise("Erf", one("Erf"))
	elementwise("Sigmoid", one("Sigmoid"))
	elementwise("Silu", func(e *Emitter, n *ir.Node, in []string, out string) {
		if !e.g.DynamicBatch {
			// One node, which keeps nothing for the backward pass.
			e.emit("com.microsoft:QuickGelu", in, []string{out}, onnx.AttrFloat("alpha", 1))
			return
		}
		e.emit("Mul", []string{in[0], e.do("Sigmoid", in)}, []string{out})
	})
	elementwise("HardSwish", func(e *Emitter, n *ir.Node, in []string, out string) {
		e.emit("Mul", []string{in[0], e.hardSigmoid(in[0], 1.0/6, 0.5)}, []string{out})
	})
	elementwise("Gelu", gelu())
	elementwise("GeluTanh", gelu(onnx.AttrString("approximate", "tanh")))
	elementwise("HardSigmoid", func(e *Emitter, n *ir.Node, in []string, out string) {
		op := n.Op.(ir.HardSigmoid)
		e.emit("HardSigmoid", in, []string{out}, onnx.AttrFloat("alpha", op.Alpha), onnx.AttrFloat("beta", op.Beta))
	})
	elementwise("Clip", func(e *Emitter, n *ir.Node, in []string, out string) {
		op := n.Op.(ir.Clip)
		for _, bound := range []float32{op.Low, op.High} {
			if math.IsInf(float64(bound), 0) {
				in = append(in, "")
			} else {
				in = append(in, e.scalar(bound))
			}
		}
		e.emit("Clip", in, []string{out})
	})

	elementwise("ErfGrad", func(e *Emitter, n *ir.Node, in []string, out string) {
		d := e.mul(in[0], e.gauss(in[1], 1))
		e.emit("Mul", []string{d, e.scalar(float32(2 / math.Sqrt(math.Pi)))}, []string{out})
	})
	elementwise("SigmoidGrad", func(e *Emitter, n *ir.Node, in []string, out string) {
		e.emit("Mul", []string{in[0], e.mul(in[1], e.oneMinus(in[1]))}, []string{out})
	})
	elementwise("TanhGrad", func(e *Emitter, n *ir.Node, in []string, out string) {
		e.emit("Mul", []string{in[0], e.oneMinus(e.mul(in[1], in[1]))}, []string{out})
	})
	elementwise("SiluGrad", func(e *Emitter, n *ir.Node, in []string, out string) {
		// y' = y + σ(x)·(1 − y)
		d := e.mul(e.do("Sigmoid", in[1:2]), e.oneMinus(in[2]))
		e.emit("Mul", []string{in[0], e.do("Add", []string{in[2], d})}, []string{out})
	})
	elementwise("HardSwishGrad", func(e *Emitter, n *ir.Node, in []string, out string) {
		// h + x·h' with h the hard sigmoid
		h := e.hardSigmoid(in[1], 1.0/6, 0.5)
		slope := e.mul(e.inside(h, 0, 1), e.scalar(1.0/6))
		e.emit("Mul", []string{in[0], e.do("Add", []string{h, e.mul(in[1], slope)})}, []string{out})
	})
	elementwise("GeluGrad", func(e *Emitter, n *ir.Node, in []string, out string) {
		x := in[1]
		erf := e.do("Erf", []string{e.mul(x, e.scalar(float32(math.Sqrt(0.5))))})
		cdf := e.mul(e.do("Add", []string{erf, e.scalar(1)}), e.scalar(0.5))
		tail := e.mul(e.mul(x, e.gauss(x, 0.5)), e.scalar(float32(1/math.Sqrt(2*math.Pi))))
		e.emit("Mul", []string{in[0], e.do("Add", []string{cdf, tail})}, []string{out})
	})
	elementwise("GeluTanhGrad", func(e *Emitter, n *ir.Node, in []string, out string) {
		// u = k·(x + c·x³), y' = (1 + tanh u)/2 + x/2·(1 − tanh² u)·u'
		const c = 0.044715
		k := math.Sqrt(2 / math.Pi)
		x := in[1]
		square := e.mul(x, x)
		poly := func(factor float64) string {
			scaled := e.mul(square, e.scalar(float32(k*factor)))
			return e.do("Add", []string{scaled, e.scalar(float32(k))})
		}
		t := e.do("Tanh", []string{e.mul(x, poly(c))})
		half := e.mul(e.do("Add", []string{t, e.scalar(1)}), e.scalar(0.5))
		bend := e.mul(e.mul(e.oneMinus(e.mul(t, t)), poly(3*c)), e.mul(x, e.scalar(0.5)))
		e.emit("Mul", []string{in[0], e.do("Add", []string{half, bend})}, []string{out})
	})
	elementwise("HardSigmoidGrad", func(e *Emitter, n *ir.Node, in []string, out string) {
		d := e.mul(in[0], e.scalar(n.Op.(ir.HardSigmoidGrad).Alpha))
		e.emit("Mul", []string{d, e.inside(in[1], 0, 1)}, []string{out})
	})
	elementwise("ClipGrad", func(e *Emitter, n *ir.Node, in []string, out string) {
		op := n.Op.(ir.ClipGrad)
		e.emit("Mul", []string{in[0], e.inside(in[1], op.Low, op.High)}, []string{out})
	})
}

// inHalf lists the operators here that compute in float16 if their values are.
// The others are chains, of which float16 would round every link, or need a slope
// steeper than float16 has (ClipGrad).
var inHalf = []string{"Sigmoid", "HardSigmoid", "Clip"}

// elementwise registers an operator on tensors of one shape for both layouts.
func elementwise(kind string, emit func(e *Emitter, n *ir.Node, in []string, out string)) {
	register(kind, form{name: "direct", half: slices.Contains(inHalf, kind), emit: func(e *Emitter, n *ir.Node) bool {
		emit(e, n, e.inputs(n), e.out(n.Out[0]))
		return true
	}})
	blocked := func(e *Emitter, n *ir.Node) bool {
		if !e.anyBlocked(n) {
			return false
		}
		in := make([]string, len(n.In))
		for i, v := range n.In {
			in[i] = e.blk(v)
		}
		emit(e, n, in, e.outBlk(n.Out[0]))
		return true
	}
	register(kind, form{name: "blocked", rank: worse(-1), emit: blocked})
	registerLast(kind, slices.Contains(inHalf, kind), blocked)
}

// one emits a single ONNX node.
func one(op string, attrs ...*onnx.AttributeProto) func(*Emitter, *ir.Node, []string, string) {
	return func(e *Emitter, _ *ir.Node, in []string, out string) { e.emit(op, in, []string{out}, attrs...) }
}

func (e *Emitter) mul(a, b string) string { return e.do("Mul", []string{a, b}) }

func (e *Emitter) oneMinus(x string) string { return e.do("Sub", []string{e.scalar(1), x}) }

// gauss emits exp(−a·x²).
func (e *Emitter) gauss(x string, a float32) string {
	return e.do("Exp", []string{e.mul(e.mul(x, x), e.scalar(-a))})
}

func (e *Emitter) hardSigmoid(x string, alpha, beta float32) string {
	return e.do("HardSigmoid", []string{x}, onnx.AttrFloat("alpha", alpha), onnx.AttrFloat("beta", beta))
}

// inside emits 1 where low < y < high and 0 elsewhere, for y between both; a
// bound may be infinite.
func (e *Emitter) inside(y string, low, high float32) string {
	above, below := y, ""
	if low != 0 {
		above = ""
		if !math.IsInf(float64(low), -1) {
			above = e.do("Sub", []string{y, e.scalar(low)})
		}
	}
	if !math.IsInf(float64(high), 1) {
		below = e.do("Sub", []string{e.scalar(high), y})
	}
	switch {
	case above == "" && below == "":
		// Everything is; NaN stays NaN.
		return e.do("Exp", []string{e.mul(y, e.scalar(0))})
	case above == "":
		return e.hardSigmoid(below, steep, 0)
	case below == "":
		return e.hardSigmoid(above, steep, 0)
	}
	return e.hardSigmoid(e.mul(above, below), steep, 0)
}

// gelu emits ONNX's Gelu, whose kernel for CUDA wants a dimension.
func gelu(attrs ...*onnx.AttributeProto) func(*Emitter, *ir.Node, []string, string) {
	return func(e *Emitter, n *ir.Node, in []string, out string) {
		if len(n.Out[0].Shape) > 0 {
			e.emit("Gelu", in, []string{out}, attrs...)
			return
		}
		y := e.do("Gelu", []string{e.reshape(in[0], 1)}, attrs...)
		e.emit("Squeeze", []string{y, e.ints(0)}, []string{out})
	}
}

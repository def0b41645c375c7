package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

func init() {
	register("GlobalAvgPool", form{name: "direct", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		y := e.do("GlobalAveragePool", e.inputs(n))
		e.emit("Flatten", []string{y}, []string{e.out(n.Out[0])}, onnx.AttrInt("axis", 1))
		return true
	}})
	register("GlobalAvgPoolGrad", form{name: "expand", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		in, s := n.Op.(ir.GlobalAvgPoolGrad).Input, n.In[0].Shape
		// 1/HW of a large map would lose digits in float16.
		d := e.do("Mul", []string{e.float32(e.in(n.In[0])), e.constant(ir.Float32, nil, []float32{1 / float32(in[0]*in[1])})})
		if e.half {
			d = e.do("Cast", []string{d}, castTo(ir.Float16))
		}
		d = e.reshape(d, s[0], s[1], 1, 1)
		e.emit("Expand", []string{d, e.ints(s[0], s[1], in[0], in[1])}, []string{e.out(n.Out[0])})
		return true
	}})
	register("Softmax", form{name: "direct", emit: func(e *Emitter, n *ir.Node) bool {
		e.emit("Softmax", e.inputs(n), []string{e.out(n.Out[0])}, onnx.AttrInt("axis", -1))
		return true
	}})
	register("SoftmaxCrossEntropy", form{name: "logsoftmax", emit: func(e *Emitter, n *ir.Node) bool {
		logp := e.out(n.Out[1])
		e.emit("LogSoftmax", []string{e.in(n.In[0])}, []string{logp}, onnx.AttrInt("axis", 1))
		prod := e.do("Mul", []string{logp, e.in(n.In[1])})
		sum := e.do("ReduceSum", []string{prod, e.ints(0, 1)}, onnx.AttrInt("keepdims", 0))
		e.emit("Mul", []string{sum, e.scalar(-1 / float32(n.In[0].Shape[0]))}, []string{e.out(n.Out[0])})
		return true
	}})
	register("SigmoidCrossEntropy", form{name: "softplus", emit: func(e *Emitter, n *ir.Node) bool {
		// max(z,0) − z·t + log(1 + exp(−|z|)) overflows nowhere.
		z, t := e.in(n.In[0]), e.in(n.In[1])
		tail := e.do("Softplus", []string{e.do("Neg", []string{e.do("Abs", []string{z})})})
		d := e.do("Sub", []string{e.do("Relu", []string{z}), e.do("Mul", []string{z, t})})
		sum := e.do("ReduceSum", []string{e.do("Add", []string{d, tail}), e.ints(0, 1)}, onnx.AttrInt("keepdims", 0))
		e.emit("Mul", []string{sum, e.scalar(1 / float32(n.In[0].Shape.Size()))}, []string{e.out(n.Out[0])})
		return true
	}})
	register("SigmoidCrossEntropyGrad", form{name: "sigmoid", emit: func(e *Emitter, n *ir.Node) bool {
		d := e.do("Sub", []string{e.do("Sigmoid", []string{e.in(n.In[1])}), e.in(n.In[2])})
		scale := e.do("Mul", []string{e.in(n.In[0]), e.scalar(1 / float32(n.In[1].Shape.Size()))})
		e.emit("Mul", []string{d, scale}, []string{e.out(n.Out[0])})
		return true
	}})
	register("SoftmaxCrossEntropyGrad", form{name: "exp", emit: func(e *Emitter, n *ir.Node) bool {
		seed, logp, t := e.in(n.In[0]), e.in(n.In[1]), e.in(n.In[2])
		p := e.do("Exp", []string{logp})
		mass := e.do("ReduceSum", []string{t, e.ints(1)}, onnx.AttrInt("keepdims", 1))
		d := e.do("Sub", []string{e.do("Mul", []string{p, mass}), t})
		scale := e.do("Mul", []string{seed, e.scalar(1 / float32(n.In[1].Shape[0]))})
		e.emit("Mul", []string{d, scale}, []string{e.out(n.Out[0])})
		return true
	}})
}

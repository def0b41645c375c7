package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// The focal losses raise 1−p, or m = 1−p_t, to the powers γ and γ−1. The base
// is kept above the last digit of float32 (of 1, where it is a difference from
// 1), so that an exponent below 0 stays finite; what multiplies such a power
// vanishes there.
const (
	leastRest  = 0x1p-24
	leastShare = 1e-30
)

func init() {
	register("SoftmaxFocal", form{name: "pow", emit: func(e *Emitter, n *ir.Node) bool {
		logp := e.out(n.Out[1])
		e.emit("LogSoftmax", []string{e.in(n.In[0])}, []string{logp}, onnx.AttrInt("axis", 1))
		_, q := e.rest(logp)
		prod := e.mul(e.mul(e.pow(q, n.Op.(ir.SoftmaxFocal).Gamma), logp), e.in(n.In[1]))
		e.mean(prod, -1/float32(n.In[0].Shape[0]), n.Out[0])
		return true
	}})
	register("SoftmaxFocalGrad", form{name: "pow", emit: func(e *Emitter, n *ir.Node) bool {
		gamma := n.Op.(ir.SoftmaxFocalGrad).Gamma
		seed, logp, t := e.in(n.In[0]), e.in(n.In[1]), e.in(n.In[2])
		p, q := e.rest(logp)
		steep := e.mul(e.mul(p, logp), e.mul(e.pow(q, gamma-1), e.scalar(float32(gamma))))
		u := e.mul(t, e.do("Sub", []string{steep, e.pow(q, gamma)}))
		total := e.do("ReduceSum", []string{u, e.ints(1)}, onnx.AttrInt("keepdims", 1))
		d := e.do("Sub", []string{u, e.mul(p, total)})
		scale := e.mul(seed, e.scalar(1/float32(n.In[1].Shape[0])))
		e.emit("Mul", []string{d, scale}, []string{e.out(n.Out[0])})
		return true
	}})
	register("SigmoidFocal", form{name: "pow", emit: func(e *Emitter, n *ir.Node) bool {
		o := n.Op.(ir.SigmoidFocal)
		f := e.focal(e.in(n.In[0]), e.in(n.In[1]), o.Alpha)
		prod := e.mul(e.pow(f.miss, o.Gamma), f.cost)
		if f.weight != "" {
			prod = e.mul(prod, f.weight)
		}
		e.mean(prod, 1/float32(n.In[0].Shape.Size()), n.Out[0])
		return true
	}})
	register("SigmoidFocalGrad", form{name: "pow", emit: func(e *Emitter, n *ir.Node) bool {
		o, t := n.Op.(ir.SigmoidFocalGrad), e.in(n.In[2])
		f := e.focal(e.in(n.In[1]), t, o.Alpha)
		turn := e.do("Sub", []string{e.scalar(float32(o.Gamma)), e.mul(t, e.scalar(float32(2*o.Gamma)))}) // γ·(1−2t)
		steep := e.mul(e.mul(e.mul(f.p, f.q), f.cost), e.mul(e.pow(f.miss, o.Gamma-1), turn))
		flat := e.mul(e.pow(f.miss, o.Gamma), e.do("Sub", []string{f.p, t}))
		d := e.do("Add", []string{steep, flat})
		if f.weight != "" {
			d = e.mul(d, f.weight)
		}
		scale := e.mul(e.in(n.In[0]), e.scalar(1/float32(n.In[1].Shape.Size())))
		e.emit("Mul", []string{d, scale}, []string{e.out(n.Out[0])})
		return true
	}})
}

// pow is x^y of x above 0.
func (e *Emitter) pow(x string, y float64) string {
	return e.do("Pow", []string{x, e.scalar(float32(y))})
}

// mean writes the sum of a matrix times a factor to a scalar.
func (e *Emitter) mean(x string, factor float32, to *ir.Value) {
	sum := e.do("ReduceSum", []string{x, e.ints(0, 1)}, onnx.AttrInt("keepdims", 0))
	e.emit("Mul", []string{sum, e.scalar(factor)}, []string{e.out(to)})
}

// rest returns p = exp(logp) and 1−p, of which rounding leaves at least its
// last digit.
func (e *Emitter) rest(logp string) (p, q string) {
	p = e.do("Exp", []string{logp})
	return p, e.do("Max", []string{e.do("Sub", []string{e.scalar(1), p}), e.scalar(leastRest)})
}

// focalParts are what loss and gradient of the sigmoid's focal loss share:
// p = σ(z), q = 1−p, miss = 1−p_t, the binary cross-entropy, and α_t, which is
// empty without α.
type focalParts struct{ p, q, miss, cost, weight string }

func (e *Emitter) focal(z, t string, alpha float64) focalParts {
	f := focalParts{p: e.do("Sigmoid", []string{z}), q: e.do("Sigmoid", []string{e.do("Neg", []string{z})})}
	not := e.do("Sub", []string{e.scalar(1), t})
	miss := e.do("Add", []string{e.mul(f.p, not), e.mul(f.q, t)})
	f.miss = e.do("Max", []string{miss, e.scalar(leastShare)})
	// As in SigmoidCrossEntropy: max(z,0) − z·t + log(1 + exp(−|z|)).
	tail := e.do("Softplus", []string{e.do("Neg", []string{e.do("Abs", []string{z})})})
	f.cost = e.do("Add", []string{e.do("Sub", []string{e.do("Relu", []string{z}), e.mul(z, t)}), tail})
	if alpha >= 0 {
		// α·t + (1−α)·(1−t)
		f.weight = e.do("Add", []string{e.mul(t, e.scalar(float32(2*alpha-1))), e.scalar(float32(1 - alpha))})
	}
	return f
}

package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Batch norms on CUDA: the statistics by reductions in float32, whatever the
// maps are in, and their application by the kernel of inference, which is one
// pass over the map.

func init() {
	registerCUDA("BatchNormTrain", form{name: "product", emit: normCUDA((*Emitter).sumProduct)})
	registerCUDA("BatchNormTrain", form{name: "square", rank: worse(1), emit: normCUDA(func(e *Emitter, x, y string, s ir.Shape) string {
		if x != y {
			return e.sumProduct(x, y, s)
		}
		d := e.do("ReduceSumSquare", []string{x, e.ints(2, 3)}, onnx.AttrInt("keepdims", 0))
		return e.do("ReduceSum", []string{d, e.ints(0)}, onnx.AttrInt("keepdims", 0))
	})})
	registerCUDA("BatchNormTrain", form{name: "dot", rank: worse(2), emit: normCUDA((*Emitter).rowDot)})
	registerCUDA("BatchNormGrad", form{name: "product", emit: normGradCUDA((*Emitter).sumProduct)})
	registerCUDA("BatchNormGrad", form{name: "dot", rank: worse(1), emit: normGradCUDA((*Emitter).rowDot)})
	registerCUDA("BatchNormGrad", form{name: "terms", rank: worse(2), emit: func(e *Emitter, n *ir.Node) bool {
		s := n.In[1].Shape
		dy, x := e.float(n.In[0]), e.float(n.In[1])
		e.sumTo(n.Out[2], dy)
		a, b, c := e.batchNormGradTerms(n, e.sumProduct(dy, x, s))
		shape := e.ints(1, s[1], 1, 1)
		part := func(u, k string) string {
			return e.mul(u, e.do("Reshape", []string{k, shape}))
		}
		d := e.do("Add", []string{part(dy, a), part(x, b)})
		e.to(n.Out[0], "Add", d, e.do("Reshape", []string{c, shape}))
		return true
	}})
}

// product emits Σ x·y over images and pixels of two maps of a shape: [C].
type product func(e *Emitter, x, y string, s ir.Shape) string

func (e *Emitter) sumProduct(x, y string, _ ir.Shape) string { return e.perChannel(e.mul(x, y)) }

// rowDot is a product of one row and one column for each map: nothing is
// stored but the sums.
func (e *Emitter) rowDot(x, y string, s ir.Shape) string {
	rows, pixels := s[0]*s[1], s[2]*s[3]
	u := e.reshape(x, rows, 1, pixels)
	v := u
	if x != y {
		v = e.reshape(y, rows, 1, pixels)
	}
	d := e.do("com.microsoft:FusedMatMul", []string{u, v}, onnx.AttrInt("transB", 1))
	return e.do("ReduceSum", []string{e.reshape(d, s[0], s[1]), e.ints(0)}, onnx.AttrInt("keepdims", 0))
}

// float emits a value in float32.
func (e *Emitter) float(v *ir.Value) string { return e.as(ir.Float32, v.DType, e.in(v)) }

// to emits an operator on two float32 values whose result is v, in v's type.
func (e *Emitter) to(v *ir.Value, op, x, y string) {
	if v.DType == ir.Float32 {
		e.emit(op, []string{x, y}, []string{e.out(v)})
		return
	}
	e.emit("Cast", []string{e.do(op, []string{x, y})}, []string{e.out(v)}, onnx.AttrInt("to", int64(elem(v.DType))))
}

func (e *Emitter) sumTo(v *ir.Value, x string) {
	d := e.do("ReduceSum", []string{x, e.ints(2, 3)}, onnx.AttrInt("keepdims", 0))
	e.emit("ReduceSum", []string{d, e.ints(0)}, []string{e.out(v)}, onnx.AttrInt("keepdims", 0))
}

func normCUDA(sum product) func(*Emitter, *ir.Node) bool {
	return func(e *Emitter, n *ir.Node) bool {
		x, s := e.float(n.In[0]), n.In[0].Shape
		mean, variance := e.moments(n, fromConv(n.In[0]), statistics{
			sum: func() string { return e.perChannel(x) },
			dot: func(mean string) string {
				if mean == "" {
					return sum(e, x, x, s)
				}
				d := e.do("Sub", []string{x, e.reshape(mean, 1, s[1], 1, 1)})
				return sum(e, d, d, s)
			},
		})
		e.emit("BatchNormalization", []string{e.in(n.In[0]), e.in(n.In[1]), e.in(n.In[2]), mean, variance},
			[]string{e.out(n.Out[0])}, onnx.AttrFloat("epsilon", n.Op.(ir.BatchNormTrain).Eps))
		return true
	}
}

// normGradCUDA writes the gradient as the norm itself with another scale and
// shift, and one term more. With s = 1/√(var+ε), M elements per channel and
// a = γ·s:
//
//	dx = a·dy + norm(x; scale −a·dγ/M, shift −a·dβ/M)
func normGradCUDA(sum product) func(*Emitter, *ir.Node) bool {
	return func(e *Emitter, n *ir.Node) bool {
		s, eps := n.In[1].Shape, n.Op.(ir.BatchNormGrad).Eps
		dy, x := e.float(n.In[0]), e.float(n.In[1])
		gamma, mean, variance := e.in(n.In[2]), e.in(n.In[3]), e.in(n.In[4])
		e.sumTo(n.Out[2], dy)
		dbeta, dgamma := e.in(n.Out[2]), e.out(n.Out[1])
		std := e.do("Sqrt", []string{e.do("Add", []string{variance, e.scalar(eps)})})
		centred := e.do("Sub", []string{sum(e, dy, x, s), e.mul(mean, dbeta)})
		e.emit("Div", []string{centred, std}, []string{dgamma})

		a := e.do("Div", []string{gamma, std})
		per := e.mul(a, e.scalar(-1/float32(s.Size()/s[1])))
		normed := e.do("BatchNormalization", []string{x, e.mul(per, dgamma), e.mul(per, dbeta), mean, variance}, onnx.AttrFloat("epsilon", eps))
		e.to(n.Out[0], "Add", e.mul(dy, e.reshape(a, 1, s[1], 1, 1)), normed)
		return true
	}
}

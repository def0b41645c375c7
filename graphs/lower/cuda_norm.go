package lower

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Batch norms on CUDA: the statistics by reductions in float32, whatever the
// maps are in, and their application by the kernel of inference, which is one
// pass over the map.

func init() {
	registerCUDA("BatchNormTrain", form{name: "product", half: true, emit: normCUDA((*Emitter).sumProduct)})
	registerCUDA("BatchNormTrain", form{name: "square", half: true, rank: worse(1), emit: normCUDA(func(e *Emitter, x, y string, s ir.Shape) string {
		if x != y {
			return e.sumProduct(x, y, s)
		}
		d := e.do("ReduceSumSquare", []string{x, e.ints(2, 3)}, onnx.AttrInt("keepdims", 0))
		return e.do("ReduceSum", []string{d, e.ints(0)}, onnx.AttrInt("keepdims", 0))
	})})
	registerCUDA("BatchNormTrain", form{name: "dot", half: true, rank: worse(2), emit: normCUDA((*Emitter).rowDot)})
	registerCUDA("BatchNormGrad", form{name: "product", half: true, emit: normGradCUDA((*Emitter).sumProduct)})
	registerCUDA("BatchNormGrad", form{name: "dot", half: true, rank: worse(1), emit: normGradCUDA((*Emitter).rowDot)})
	registerCUDA("BatchNormGrad", form{name: "terms", rank: worse(2), emit: func(e *Emitter, n *ir.Node) bool {
		s := n.In[1].Shape
		dy, x := e.in(n.In[0]), e.in(n.In[1])
		e.sumTo(n.Out[2], dy)
		a, b, c := e.batchNormGradTerms(n, e.sumProduct(dy, x, s))
		shape := e.ints(1, s[1], 1, 1)
		part := func(u, k string) string {
			return e.mul(u, e.do("Reshape", []string{k, shape}))
		}
		d := e.do("Add", []string{part(dy, a), part(x, b)})
		e.emit("Add", []string{d, e.do("Reshape", []string{c, shape})}, []string{e.out(n.Out[0])})
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

// inStatistics calls f with constants in float32 while a form computes in
// float16.
func (e *Emitter) inStatistics(f func()) {
	half := e.half
	e.half = false
	f()
	e.half = half
}

func (e *Emitter) sumTo(v *ir.Value, x string) {
	d := e.do("ReduceSum", []string{x, e.ints(2, 3)}, onnx.AttrInt("keepdims", 0))
	e.emit("ReduceSum", []string{d, e.ints(0)}, []string{e.out(v)}, onnx.AttrInt("keepdims", 0))
}

func normCUDA(sum product) func(*Emitter, *ir.Node) bool {
	return func(e *Emitter, n *ir.Node) bool {
		raw, s := e.in(n.In[0]), n.In[0].Shape
		x := e.float32(raw)
		half := e.half
		e.inStatistics(func() {
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
			gamma, beta, eps := e.in(n.In[1]), e.in(n.In[2]), n.Op.(ir.BatchNormTrain).Eps
			if !half {
				e.emit("BatchNormalization", []string{raw, gamma, beta, mean, variance},
					[]string{e.out(n.Out[0])}, onnx.AttrFloat("epsilon", eps))
				return
			}
			std := e.do("Sqrt", []string{e.do("Add", []string{variance, e.scalar(eps)})})
			e.halfNorm(raw, e.do("Div", []string{gamma, std}), beta, mean, s[1], e.out(n.Out[0]))
		})
		return true
	}
}

// halfEps is the least epsilon that the kernel takes.
const halfEps = 1e-5

// halfNorm emits a·(x − mean) + b for a float16 map x by the kernel of
// BatchNormalization, which wants all its inputs in float16 and computes in
// float32. a, b and mean are float32, [C]. The variance is one, for a deviation
// may exceed the range; what rounding takes off the mean is put into b, since it
// would move all pixels of a channel alike.
func (e *Emitter) halfNorm(x, a, b, mean string, channels int, out string) {
	half := func(v string) string { return e.do("Cast", []string{v}, castTo(ir.Float16)) }
	mean16 := half(mean)
	lost := e.do("Sub", []string{mean, e.do("Cast", []string{mean16}, castTo(ir.Float32))})
	b = e.do("Sub", []string{b, e.mul(a, lost)})
	a = e.mul(a, e.scalar(float32(math.Sqrt(1+halfEps))))
	ones := make([]float32, channels)
	for i := range ones {
		ones[i] = 1
	}
	one := e.constant(ir.Float16, ir.Shape{channels}, ones)
	e.emit("BatchNormalization", []string{x, half(a), half(b), mean16, one}, []string{out}, onnx.AttrFloat("epsilon", halfEps))
}

// normGradCUDA writes the gradient as the norm itself with another scale and
// shift, and one term more. With s = 1/√(var+ε), M elements per channel and
// a = γ·s:
//
//	dx = a·dy + norm(x; scale −a·dγ/M, shift −a·dβ/M)
//
// In float16 the maps are widened for the sums in another shape than in the
// forward pass: ONNX Runtime makes one node of two that are alike, and would
// keep the float32 copy from there to here.
func normGradCUDA(sum product) func(*Emitter, *ir.Node) bool {
	return func(e *Emitter, n *ir.Node) bool {
		s, eps := n.In[1].Shape, n.Op.(ir.BatchNormGrad).Eps
		dy, x := e.in(n.In[0]), e.in(n.In[1])
		wide, wideX, half := dy, x, e.half
		if half {
			wide = e.float32(e.reshape(dy, s[0], s[1], s[2]*s[3], 1))
			wideX = e.float32(e.reshape(x, s[0], s[1], s[2]*s[3], 1))
		}
		var a, normed string
		e.inStatistics(func() {
			gamma, mean, variance := e.in(n.In[2]), e.in(n.In[3]), e.in(n.In[4])
			e.sumTo(n.Out[2], wide)
			dbeta, dgamma := e.in(n.Out[2]), e.out(n.Out[1])
			std := e.do("Sqrt", []string{e.do("Add", []string{variance, e.scalar(eps)})})
			centred := e.do("Sub", []string{sum(e, wide, wideX, s), e.mul(mean, dbeta)})
			e.emit("Div", []string{centred, std}, []string{dgamma})
			a = e.do("Div", []string{gamma, std})
			per := e.mul(a, e.scalar(-1/float32(s.Size()/s[1])))
			scale, shift := e.mul(per, dgamma), e.mul(per, dbeta)
			if half {
				normed = e.tmp("norm")
				e.halfNorm(x, e.do("Div", []string{scale, std}), shift, mean, s[1], normed)
				a = e.do("Cast", []string{a}, castTo(ir.Float16))
				return
			}
			normed = e.do("BatchNormalization", []string{x, scale, shift, mean, variance}, onnx.AttrFloat("epsilon", eps))
		})
		e.emit("Add", []string{e.mul(dy, e.reshape(a, 1, s[1], 1, 1)), normed}, []string{e.out(n.Out[0])})
		return true
	}
}

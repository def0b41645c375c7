package importer

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

// The operators that work element by element, or reduce.

func init() {
	for op, f := range map[string]ir.UnaryKind{
		"Relu": ir.Relu, "Neg": ir.Neg, "Sqrt": ir.Sqrt, "Exp": ir.Exp, "Log": ir.Log, "Abs": ir.Abs, "Tanh": ir.Tanh,
		"Erf": ir.Erf, "Sigmoid": ir.Sigmoid, "HardSwish": ir.HardSwish, "Swish": ir.Silu,
	} {
		translate(func(w *walker) { w.set(0, w.unary(f, w.tensor(0))) }, op)
	}
	translate(func(w *walker) { w.bind(0, w.in(0)) }, "Identity")
	translate(cast, "Cast")
	translate(func(w *walker) { w.set(0, w.tensor(0)) }, "CastLike")
	translate(func(w *walker) { w.set(0, w.product(w.tensor(0), w.tensor(1))) }, "Mul")
	translate(add, "Add")
	translate(func(w *walker) { w.set(0, w.binary(ir.Sub, w.tensor(0), w.tensor(1))) }, "Sub")
	translate(func(w *walker) { w.set(0, w.binary(ir.Div, w.tensor(0), w.tensor(1))) }, "Div")
	translate(sum, "Sum")
	translate(pow, "Pow")
	translate(func(w *walker) { w.set(0, w.binary(ir.Div, w.b.G.Scalar(1), w.tensor(0))) }, "Reciprocal")
	translate(clip, "Clip")
	translate(atLeast, "Max", "Min")
	translate(leakyRelu, "LeakyRelu")
	translate(pRelu, "PRelu")
	translate(elu, "Elu")
	translate(softplus, "Softplus")
	translate(func(w *walker) {
		softplus(w)
		x := w.tensor(0)
		w.set(0, w.binary(ir.Mul, x, w.unary(ir.Tanh, w.env[w.node.GetOutput()[0]].v)))
	}, "Mish")
	translate(gelu, "Gelu")
	translate(func(w *walker) {
		w.set(0, w.one(ir.HardSigmoid{Alpha: w.float("alpha", 0.2), Beta: w.float("beta", 0.5)}, w.tensor(0)))
	}, "HardSigmoid")
	translate(softmax, "Softmax", "LogSoftmax")
	translate(reduce, "ReduceMean", "ReduceSum", "ReduceL2", "ReduceSumSquare")
}

// product makes x·σ(x) one operator.
func (w *walker) product(a, b *ir.Value) *ir.Value {
	for _, p := range [][2]*ir.Value{{a, b}, {b, a}} {
		if n := p[1].Node; n != nil && n.In[0] == p[0] && n.Op == (ir.Unary{F: ir.Sigmoid}) {
			return w.unary(ir.Silu, p[0])
		}
	}
	return w.binary(ir.Mul, a, b)
}

// add knows the bias of the head.
func add(w *walker) {
	in := [2]*ir.Value{}
	for i := range in {
		if w.node == w.s.head.bias && w.s.head.node != nil && w.isConst(i) {
			in[i] = w.bias(i, ir.Shape{w.c.Classes})
			continue
		}
		in[i] = w.tensor(i)
	}
	w.set(0, w.binary(ir.Add, in[0], in[1]))
}

// cast between floating-point types does nothing: all is computed in float32.
func cast(w *walker) {
	if to := w.int("to", 0); to != 1 && to != 10 && to != 11 && to != 16 {
		w.fail("an image that becomes whole numbers has no gradient")
	}
	w.set(0, w.tensor(0))
}

func sum(w *walker) {
	y := w.tensor(0)
	for i := 1; i < len(w.node.GetInput()); i++ {
		y = w.binary(ir.Add, y, w.tensor(i))
	}
	w.set(0, y)
}

// pow takes the exponents that networks have.
func pow(w *walker) {
	x := w.tensor(0)
	switch e := w.number(1); e {
	case 1:
		w.set(0, x)
	case 2:
		w.set(0, w.binary(ir.Mul, x, x))
	case 3:
		w.set(0, w.binary(ir.Mul, w.binary(ir.Mul, x, x), x))
	case 0.5:
		w.set(0, w.unary(ir.Sqrt, x))
	case -0.5:
		w.set(0, w.binary(ir.Div, w.b.G.Scalar(1), w.unary(ir.Sqrt, x)))
	case -1:
		w.set(0, w.binary(ir.Div, w.b.G.Scalar(1), x))
	default:
		w.fail("the exponent %g has no gradient here", e)
	}
}

func clip(w *walker) {
	low, high := math.Inf(-1), math.Inf(1)
	if a := w.attr("min"); a != nil {
		low = float64(a.GetF())
	}
	if a := w.attr("max"); a != nil {
		high = float64(a.GetF())
	}
	if w.has(1) {
		low = w.number(1)
	}
	if w.has(2) {
		high = w.number(2)
	}
	w.bounds(w.tensor(0), low, high)
}

// bounds knows the names of ReLU and of no bound.
func (w *walker) bounds(x *ir.Value, low, high float64) {
	huge := float64(math.MaxFloat32)
	if low <= -huge {
		low = math.Inf(-1)
	}
	if high >= huge {
		high = math.Inf(1)
	}
	switch {
	case math.IsInf(low, -1) && math.IsInf(high, 1):
		w.set(0, x)
	case low == 0 && math.IsInf(high, 1):
		w.set(0, w.unary(ir.Relu, x))
	default:
		w.set(0, w.one(ir.Clip{Low: float32(low), High: float32(high)}, x))
	}
}

// atLeast is Max or Min with a number, which is a bound.
func atLeast(w *walker) {
	x, bound := -1, -1
	for i := range w.node.GetInput() {
		switch {
		case w.in(i).v != nil:
			x = i
		default:
			bound = i
		}
	}
	if len(w.node.GetInput()) != 2 || x < 0 || bound < 0 {
		w.fail("of two computed values it has no gradient here")
	}
	if w.node.GetOpType() == "Max" {
		w.bounds(w.tensor(x), w.number(bound), math.Inf(1))
	} else {
		w.bounds(w.tensor(x), math.Inf(-1), w.number(bound))
	}
}

// leaky is relu(x) − slope·relu(−x).
func (w *walker) leaky(x, slope *ir.Value) *ir.Value {
	below := w.unary(ir.Relu, w.unary(ir.Neg, x))
	return w.binary(ir.Sub, w.unary(ir.Relu, x), w.binary(ir.Mul, below, slope))
}

func leakyRelu(w *walker) {
	w.set(0, w.leaky(w.tensor(0), w.b.G.Scalar(w.float("alpha", 0.01))))
}

func pRelu(w *walker) {
	x := w.tensor(0)
	if w.isConst(1) {
		// A single slope is trained too.
		w.set(0, w.leaky(x, w.constParam(1, "", nn.Tensor{Bias: true, Init: ir.Init{Kind: ir.InitZeros}})))
		return
	}
	w.set(0, w.leaky(x, w.tensor(1)))
}

// elu is relu(x) − α·(1 − exp(−relu(−x))).
func elu(w *walker) {
	x := w.tensor(0)
	below := w.unary(ir.Neg, w.unary(ir.Relu, w.unary(ir.Neg, x)))
	e := w.plus(w.unary(ir.Exp, below), -1)
	w.set(0, w.binary(ir.Add, w.unary(ir.Relu, x), w.times(e, float64(w.float("alpha", 1)))))
}

// softplus is relu(x) + log(1 + exp(−|x|)).
func softplus(w *walker) {
	x := w.tensor(0)
	tail := w.unary(ir.Log, w.plus(w.unary(ir.Exp, w.unary(ir.Neg, w.unary(ir.Abs, x))), 1))
	w.set(0, w.binary(ir.Add, w.unary(ir.Relu, x), tail))
}

func gelu(w *walker) {
	f := ir.Gelu
	if w.text("approximate") == "tanh" {
		f = ir.GeluTanh
	}
	w.set(0, w.unary(f, w.tensor(0)))
}

// softmax over the last axis; before operator set 13 it is over all axes from
// one on.
func softmax(w *walker) {
	x := w.tensor(0)
	shape, usual := x.Shape, -1
	if w.s.opset < 13 {
		usual = 1
	}
	axis := w.axis(w.int("axis", usual), len(shape))
	apply := func(x *ir.Value) *ir.Value {
		y := w.one(ir.Softmax{}, x)
		if w.node.GetOpType() == "LogSoftmax" {
			y = w.unary(ir.Log, y)
		}
		return y
	}
	switch {
	case axis == len(shape)-1 && len(shape) > 1:
		w.set(0, apply(x))
	case w.s.opset < 13:
		y := apply(w.reshape(x, ir.Shape{shape[:axis].Size(), shape[axis:].Size()}))
		w.set(0, w.reshape(y, shape))
	case len(shape) > 1:
		perm := make([]int, len(shape))
		for i := range perm {
			perm[i] = i
		}
		perm[axis], perm[len(perm)-1] = perm[len(perm)-1], perm[axis]
		w.set(0, w.permute(apply(w.permute(x, perm)), perm))
	default:
		w.fail("it normalises a value of shape %v", shape)
	}
}

func reduce(w *walker) {
	x := w.tensor(0)
	axes, ok := w.list("axes", 1)
	if !ok || len(axes) == 0 {
		if w.int("noop_with_empty_axes", 0) != 0 {
			w.set(0, x)
			return
		}
		axes = nil
		for i := range x.Shape {
			axes = append(axes, i)
		}
	}
	var mask uint
	size := 1
	for _, a := range axes {
		a = w.axis(a, len(x.Shape))
		if mask>>a&1 == 0 {
			size *= x.Shape[a]
		}
		mask |= 1 << a
	}
	keep := w.int("keepdims", 1) != 0
	op := w.node.GetOpType()
	if op == "ReduceMean" && len(x.Shape) == 4 && mask == ir.Axes(2, 3) {
		y := w.one(ir.GlobalAvgPool{}, x)
		if keep {
			y = w.reshape(y, ir.Shape{y.Shape[0], y.Shape[1], 1, 1})
		}
		w.set(0, y)
		return
	}
	if op == "ReduceL2" || op == "ReduceSumSquare" {
		x = w.binary(ir.Mul, x, x)
	}
	y := w.one(ir.Sum{Axes: mask, Keep: keep}, x)
	switch op {
	case "ReduceMean":
		y = w.times(y, 1/float64(size))
	case "ReduceL2":
		y = w.unary(ir.Sqrt, y)
	}
	w.set(0, y)
}

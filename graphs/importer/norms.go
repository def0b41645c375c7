package importer

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

func init() {
	translate(batchNorm, "BatchNormalization")
	translate(layerNorm, "LayerNormalization")
	translate(instanceNorm, "InstanceNormalization")
	translate(groupNorm, "GroupNormalization")
	translate(localResponse, "LRN")
}

// batchNorm has tensors of its own even where the file shares them between
// norms: equal ones are often written once.
func batchNorm(w *walker) {
	x := w.tensor(0)
	if len(x.Shape) < 2 || len(x.Shape) > 4 {
		w.fail("it normalises a value of shape %v", x.Shape)
	}
	if w.int("spatial", 1) == 0 {
		w.fail("a norm for each pixel (spatial = 0) has no gradient here")
	}
	if !w.isConst(1) {
		computedNorm(w, x)
		return
	}
	c := ir.Shape{x.Shape[1]}
	var ts [4]nn.Tensor
	for i := range ts {
		v := w.in(i + 1)
		if v.name == "" || !w.s.tensors[v.name].float() || !w.s.tensors[v.name].shape().Equal(c) {
			w.fail("its %s is no constant of %d numbers", [...]string{"scale", "shift", "mean", "variance"}[i], c[0])
		}
		ts[i] = nn.Tensor{Norm: i < 2, Bias: i == 1, Init: ir.Init{Kind: [...]ir.InitKind{ir.InitOnes, ir.InitZeros, ir.InitZeros, ir.InitOnes}[i]}}
		ts[i].Name, ts[i].Shape = w.declare(v.name, nil, false)
	}
	shape := x.Shape
	if len(shape) < 4 {
		to := ir.Shape{shape[0], shape[1], 1, 1}
		if len(shape) == 3 {
			to[2] = shape[2]
		}
		x = w.reshape(x, to)
	}
	y := w.b.Norm(w.node.GetOutput()[0], x, w.float("epsilon", 1e-5), ts)
	if len(shape) < 4 {
		y = w.reshape(y, shape)
	}
	w.set(0, y)
}

func layerNorm(w *walker) {
	x := w.tensor(0)
	axis := w.axis(w.int("axis", -1), len(x.Shape))
	shape := x.Shape
	d := shape[axis:].Size()
	flat := axis != len(shape)-1
	if flat {
		x = w.reshape(x, ir.Shape{shape[:axis].Size(), d})
	}
	var in [2]*ir.Value
	for i := range in {
		if !w.has(i + 1) {
			in[i] = w.repeated(float64(1-i), d)
			continue
		}
		t := nn.Tensor{Norm: true, Bias: i == 1, Init: ir.Init{Kind: [...]ir.InitKind{ir.InitOnes, ir.InitZeros}[i]}}
		in[i] = w.constParam(i+1, w.node.GetOutput()[0], t)
		if len(in[i].Shape) != 1 {
			in[i] = w.reshape(in[i], ir.Shape{in[i].Shape.Size()})
		}
	}
	if len(shape) < 2 {
		w.fail("it normalises a value of shape %v", shape)
	}
	y := w.apply(ir.LayerNorm{Eps: w.float("epsilon", 1e-5)}, x, in[0], in[1])[0]
	if flat {
		y = w.reshape(y, shape)
	}
	w.set(0, y)
}

// computedNorm is a BatchNormalization that was given a mean, variance, scale
// and shift that the graph computes, as Keras 2 writes layer norms.
func computedNorm(w *walker, x *ir.Value) {
	var in [4]*ir.Value
	for i := range in {
		in[i] = w.perChannel(w.tensor(i+1), 1, len(x.Shape))
	}
	std := w.unary(ir.Sqrt, w.plus(in[3], float64(w.float("epsilon", 1e-5))))
	y := w.binary(ir.Div, w.binary(ir.Sub, x, in[2]), std)
	w.set(0, w.binary(ir.Add, w.binary(ir.Mul, y, in[0]), in[1]))
}

// perChannel shapes a vector so that it is one number for each element of an
// axis of values of a rank.
func (w *walker) perChannel(v *ir.Value, axis, rank int) *ir.Value {
	to := ir.Shape{v.Shape.Size()}
	for range rank - axis - 1 {
		to = append(to, 1)
	}
	return w.reshape(v, to)
}

// repeated is a vector of equal constants.
func (w *walker) repeated(x float64, n int) *ir.Value {
	if n > maxHost {
		w.fail("it normalises over %d elements", n)
	}
	return w.constant(&host{shape: ir.Shape{n}, float: true, data: slices.Repeat([]float64{x}, n)})
}

// standardised gives each of the groups that x falls into, in order, mean 0 and
// variance 1.
func (w *walker) standardised(x *ir.Value, groups int) *ir.Value {
	shape := x.Shape
	n := shape.Size() / groups
	y := w.apply(ir.LayerNorm{Eps: w.float("epsilon", 1e-5)}, w.reshape(x, ir.Shape{groups, n}), w.repeated(1, n), w.repeated(0, n))[0]
	return w.reshape(y, shape)
}

// scaled multiplies and shifts by the second and third input: one number for
// each channel of x, or for each group of them.
func (w *walker) scaled(x *ir.Value, groups int) *ir.Value {
	for i, f := range []ir.BinaryKind{ir.Mul, ir.Add} {
		v := w.tensor(i + 1)
		if w.isConst(i + 1) {
			v = w.constParam(i+1, w.node.GetOutput()[0], nn.Tensor{Norm: true, Bias: i == 1, Init: ir.Init{Kind: [...]ir.InitKind{ir.InitOnes, ir.InitZeros}[i]}})
		}
		switch n := v.Shape.Size(); n {
		case x.Shape[1]:
			x = w.binary(f, x, w.perChannel(v, 1, len(x.Shape)))
		case groups:
			shape := x.Shape
			parts := w.reshape(x, ir.Shape{shape[0], groups, shape[1:].Size() / groups})
			x = w.reshape(w.binary(f, parts, w.perChannel(v, 1, 3)), shape)
		default:
			w.fail("%d numbers do not fit %d channels", n, x.Shape[1])
		}
	}
	return x
}

func instanceNorm(w *walker) {
	x := w.tensor(0)
	if len(x.Shape) < 3 {
		w.fail("it normalises a value of shape %v", x.Shape)
	}
	w.set(0, w.scaled(w.standardised(x, x.Shape[0]*x.Shape[1]), x.Shape[1]))
}

// groupNorm has a scale for each group in operator set 18, for each channel
// from 21 on.
func groupNorm(w *walker) {
	x := w.tensor(0)
	groups := w.int("num_groups", 0)
	if len(x.Shape) < 2 || groups < 1 || x.Shape[1]%groups != 0 {
		w.fail("it normalises a value of shape %v in %d groups", x.Shape, groups)
	}
	w.set(0, w.scaled(w.standardised(x, x.Shape[0]*groups), groups))
}

// localResponse is x·(k + α/n·Σx²)^−β, summed over n neighbouring channels
// (Krizhevsky et al. 2012, §3.3): a power of a positive number.
func localResponse(w *walker) {
	x := w.tensor(0)
	n := w.int("size", 0)
	if len(x.Shape) != 4 || n < 1 {
		w.fail("it normalises a value of shape %v over %d channels", x.Shape, n)
	}
	k := w.float("bias", 1)
	if !(k > 0) {
		w.fail("its bias is %g, not above 0", k)
	}
	s := x.Shape
	op := ir.AvgPool{PoolAttr: ir.PoolAttr{Kernel: [2]int{n, 1}, Stride: [2]int{1, 1}, Pad: [4]int{(n - 1) / 2, 0, n / 2, 0}}, CountPad: true}
	mean := w.one(op, w.reshape(w.binary(ir.Mul, x, x), ir.Shape{s[0], 1, s[1], s[2] * s[3]}))
	u := w.plus(w.times(w.reshape(mean, s), float64(w.float("alpha", 1e-4))), float64(k))
	power := w.unary(ir.Exp, w.times(w.unary(ir.Log, u), -float64(w.float("beta", 0.75))))
	w.set(0, w.binary(ir.Mul, x, power))
}

package reference_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/graphs/autodiff"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/reference"
)

func normal(r *rand.Rand, s ir.Shape) reference.Tensor {
	t := reference.Zeros(s)
	for i := range t.Data {
		t.Data[i] = r.NormFloat64()
	}
	return t
}

// ruleCase differentiates one operator. Inputs are drawn from N(0, 1), away
// from zero by at least 0.1 and positive where asked. Inputs in fixed get no
// gradient.
type ruleCase struct {
	// share: the fixed inputs lie between 0 and 1.
	share    bool
	op       ir.Op
	in       []ir.Shape
	positive bool
	fixed    map[int]bool
}

func ruleCases() []ruleCase {
	var cases []ruleCase
	broadcasts := [][]ir.Shape{
		{{2, 3}, {2, 3}}, {{2, 3}, {3}}, {{3}, {2, 3}}, {{2, 1, 4}, {3, 1}}, {{1, 3}, {2, 1}}, {{2, 2}, nil}, {nil, {2, 2}},
		{nil, nil}, {{1}, {1, 1}}, {{2, 3, 2, 2}, {1, 3, 1, 1}},
	}
	for _, f := range []ir.BinaryKind{ir.Add, ir.Sub, ir.Mul, ir.Div, ir.Max, ir.Min} {
		for _, s := range broadcasts {
			cases = append(cases, ruleCase{op: ir.Binary{F: f}, in: s})
		}
	}
	for _, f := range []ir.UnaryKind{ir.Relu, ir.Neg, ir.Sqrt, ir.Exp, ir.Log, ir.Abs, ir.Sign} {
		for _, s := range []ir.Shape{nil, {3}, {2, 3, 1, 2}} {
			cases = append(cases, ruleCase{op: ir.Unary{F: f}, in: []ir.Shape{s}, positive: f == ir.Sqrt || f == ir.Log})
		}
	}
	cases = append(cases, ruleCase{op: ir.Cast{To: ir.Float32}, in: []ir.Shape{{2, 3}}})
	for axes := uint(1); axes < 8; axes++ {
		for _, keep := range []bool{false, true} {
			cases = append(cases, ruleCase{op: ir.Sum{Axes: axes, Keep: keep}, in: []ir.Shape{{2, 3, 2}}})
		}
	}
	for _, s := range []ir.Shape{nil, {3}, {2, 3, 1, 2}} {
		cases = append(cases, ruleCase{op: ir.SumSquares{}, in: []ir.Shape{s}})
	}
	for _, m := range []ir.MatMul{{}, {TransA: true}, {TransB: true}, {TransA: true, TransB: true}} {
		a, b := ir.Shape{2, 3}, ir.Shape{3, 4}
		if m.TransA {
			a = ir.Shape{3, 2}
		}
		if m.TransB {
			b = ir.Shape{4, 3}
		}
		cases = append(cases, ruleCase{op: m, in: []ir.Shape{a, b}})
	}
	for _, a := range []ir.ConvAttr{
		ir.Window(1, 1), ir.Window(2, 1), {Stride: [2]int{2, 1}, Pad: [4]int{0, 2, 1, 0}, Dilation: [2]int{1, 2}, Groups: 2},
	} {
		cases = append(cases, ruleCase{op: ir.Conv{ConvAttr: a}, in: []ir.Shape{{2, 2, 5, 4}, {4, 2 / a.Groups, 3, 2}}})
	}
	for _, s := range []ir.Shape{nil, {3}, {2, 3, 1, 2}} {
		for _, f := range []ir.UnaryKind{ir.Erf, ir.Sigmoid, ir.Tanh, ir.Silu, ir.HardSwish, ir.Gelu, ir.GeluTanh} {
			cases = append(cases, ruleCase{op: ir.Unary{F: f}, in: []ir.Shape{s}})
		}
		cases = append(cases, ruleCase{op: ir.HardSigmoid{Alpha: 0.2, Beta: 0.5}, in: []ir.Shape{s}},
			ruleCase{op: ir.Clip{Low: -1.01, High: 0.51}, in: []ir.Shape{s}})
	}
	for axis := range 3 {
		in := []ir.Shape{{2, 3, 2}, {2, 3, 2}, {2, 3, 2}}
		in[1][axis] = 5
		cases = append(cases, ruleCase{op: ir.Concat{Axis: axis}, in: in})
	}
	for _, groups := range []int{1, 2, 4} {
		a := ir.ConvAttr{Stride: [2]int{1, 2}, Pad: [4]int{1, 0, 1, 2}, Dilation: [2]int{1, 1}, Groups: groups}
		cases = append(cases, ruleCase{op: ir.Conv{ConvAttr: a}, in: []ir.Shape{{2, 4, 3, 4}, {4, 4 / groups, 3, 1}, {4}}})
	}
	for _, m := range []ir.BatchMatMul{{}, {TransA: true}, {TransB: true}, {TransA: true, TransB: true}} {
		for _, lead := range [][2]ir.Shape{{nil, nil}, {{2}, {2}}, {{2, 3}, nil}, {nil, {2}}, {{2, 1}, {3}}} {
			a, b := ir.Shape{2, 3}, ir.Shape{3, 4}
			if m.TransA {
				a = ir.Shape{3, 2}
			}
			if m.TransB {
				b = ir.Shape{4, 3}
			}
			cases = append(cases, ruleCase{op: m, in: []ir.Shape{slices.Concat(lead[0], a), slices.Concat(lead[1], b)}})
		}
	}
	c := ir.Shape{3}
	cases = append(cases,
		ruleCase{op: ir.Permute(2, 0, 1), in: []ir.Shape{{2, 3, 4}}},
		ruleCase{op: ir.Permute(1, 0, 2, 4, 3), in: []ir.Shape{{2, 1, 3, 2, 2}}},
		ruleCase{op: ir.ExpandTo(ir.Shape{2, 3, 4}), in: []ir.Shape{{3, 1}}},
		ruleCase{op: ir.LayerNorm{Eps: 1e-3}, in: []ir.Shape{{2, 2, 3}, c, c}},
		ruleCase{op: ir.LayerNorm{Eps: 1e-3}, in: []ir.Shape{{4, 3}, c, c}},
		ruleCase{op: ir.Softmax{}, in: []ir.Shape{{2, 2, 3}}},
		ruleCase{op: ir.BatchNormTrain{Eps: 1e-3}, in: []ir.Shape{{2, 3, 2, 3}, c, c}},
		ruleCase{op: ir.BatchNormInfer{Eps: 1e-3}, in: []ir.Shape{{2, 3, 2, 3}, c, c, c, c}, positive: true, fixed: map[int]bool{3: true, 4: true}},
		ruleCase{op: ir.SoftmaxCrossEntropy{}, in: []ir.Shape{{3, 4}, {3, 4}}, fixed: map[int]bool{1: true}},
		ruleCase{op: ir.Softmax{}, in: []ir.Shape{{3, 4}}},
		ruleCase{op: ir.SigmoidCrossEntropy{}, in: []ir.Shape{{3, 4}, {3, 4}}, fixed: map[int]bool{1: true}},
		ruleCase{op: ir.SoftmaxFocal{Gamma: 2}, in: []ir.Shape{{3, 4}, {3, 4}}, fixed: map[int]bool{1: true}},
		ruleCase{op: ir.SoftmaxFocal{Gamma: 0.5}, in: []ir.Shape{{3, 4}, {3, 4}}, fixed: map[int]bool{1: true}},
		ruleCase{op: ir.SoftmaxFocal{}, in: []ir.Shape{{3, 4}, {3, 4}}, fixed: map[int]bool{1: true}},
		ruleCase{op: ir.SigmoidFocal{Gamma: 2, Alpha: 0.25}, in: []ir.Shape{{3, 4}, {3, 4}}, share: true, fixed: map[int]bool{1: true}},
		ruleCase{op: ir.SigmoidFocal{Gamma: 0.5, Alpha: -1}, in: []ir.Shape{{3, 4}, {3, 4}}, share: true, fixed: map[int]bool{1: true}},
		ruleCase{op: ir.GlobalAvgPool{}, in: []ir.Shape{{2, 3, 4, 5}}},
		ruleCase{op: ir.MaxPool{PoolAttr: ir.Windows(3, 2, 1)}, in: []ir.Shape{{2, 3, 4, 5}}},
		ruleCase{op: ir.AvgPool{PoolAttr: ir.Windows(3, 2, 1)}, in: []ir.Shape{{2, 3, 4, 5}}},
		ruleCase{op: ir.ReshapeTo(ir.Shape{3, 4}), in: []ir.Shape{{2, 6}}},
		ruleCase{op: ir.ReshapeTo(nil), in: []ir.Shape{{1, 1}}},
		ruleCase{op: ir.Subsample(ir.Shape{1, 2, 5, 4}, 2), in: []ir.Shape{{1, 2, 5, 4}}},
		ruleCase{op: ir.Gather{Axis: 1, Index: []int{2, 0, 2, 2}}, in: []ir.Shape{{2, 3, 2}}},
		ruleCase{op: ir.Pad{Before: [4]int{1, 2}, After: [4]int{0, 1}}, in: []ir.Shape{{2, 3}}},
		ruleCase{op: ir.Concat{}, in: []ir.Shape{{2}, {3}, {1}}},
		ruleCase{op: ir.Split{Parts: []ir.Shape{{2, 2}, nil, {3}}}, in: []ir.Shape{{8}}},
	)
	return cases
}

// TestRules differentiates each operator that has a rule and compares with
// central differences. The loss weights every element of every output that the
// rule follows, and adds a second use of each input, so that adjoints have to
// be added up.
func TestRules(t *testing.T) {
	covered := map[string]bool{}
	for i, c := range ruleCases() {
		kind := c.op.Kind()
		if !autodiff.Differentiable(kind) {
			continue
		}
		covered[kind] = true
		t.Run(fmt.Sprintf("%s%v", kind, c.in), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(i), 3))
			g, inputs := ir.New("rule"), map[string]reference.Tensor{}
			var in, wrt []*ir.Value
			for j, s := range c.in {
				x := normal(r, s)
				for k, e := range x.Data {
					x.Data[k] = e + math.Copysign(0.1, e)
					if c.positive {
						x.Data[k] = math.Abs(x.Data[k])
					}
				}
				v := g.Input(fmt.Sprintf("in%d", j), ir.F32(s...))
				inputs[v.Name] = x
				in = append(in, v)
				if c.share && c.fixed[j] {
					for k, e := range x.Data {
						x.Data[k] = 1 / (1 + math.Exp(-3*e)) // in (0, 1), as targets are
					}
				}
				if !c.fixed[j] {
					wrt = append(wrt, v)
				}
			}
			out := g.Apply("op", c.op, in...)
			if slices.Contains([]string{"BatchNormTrain", "SoftmaxCrossEntropy", "SoftmaxFocal", "LayerNorm"}, kind) {
				out = out[:1] // by contract, no gradient flows from the others
			}
			loss := g.Scalar(0)
			for _, v := range slices.Concat(out, wrt) {
				w := g.Const("weight", v.Shape, normal(r, v.Shape).Float32())
				loss = g.One("", ir.Binary{F: ir.Add}, loss, total(g, g.One("", ir.Binary{F: ir.Mul}, v, w)))
			}
			compareGradients(t, g, loss, wrt, inputs, 1e-5, 1e-6)
		})
	}
	covered["Shake"] = true // not a derivative: see TestShake
	for _, kind := range reference.Kinds() {
		if autodiff.Differentiable(kind) && !covered[kind] {
			t.Errorf("the rule of %s is not tested", kind)
		}
	}
}

// total sums all elements of v.
func total(g *ir.Graph, v *ir.Value) *ir.Value {
	if len(v.Shape) == 0 {
		return v
	}
	return g.One("", ir.Sum{Axes: 1<<len(v.Shape) - 1}, v)
}

// compareGradients differentiates loss by autodiff and by central differences.
func compareGradients(t *testing.T, g *ir.Graph, loss *ir.Value, wrt []*ir.Value,
	inputs map[string]reference.Tensor, step, tolerance float64) {
	t.Helper()
	forward := *g
	forward.Outputs = []ir.Output{{Name: "loss", Value: loss}}
	nodes := len(g.Nodes)
	grads, err := autodiff.Gradients(g, loss, nil, wrt)
	if err != nil {
		t.Fatal(err)
	}
	if len(forward.Nodes) != nodes {
		t.Fatal("the forward graph grew")
	}
	for i, d := range grads {
		g.Output("grad."+wrt[i].Name, d)
	}
	got := mustRun(t, g, inputs)
	for _, v := range wrt {
		want := reference.Difference(func(reference.Tensor) float64 {
			return mustRun(t, &forward, inputs)["loss"].Data[0]
		}, inputs[v.Name], step)
		if d := reference.Distance(got["grad."+v.Name], want); d > tolerance {
			t.Errorf("gradient of %s is %.2g away from the central difference", v.Name, d)
		}
	}
}

func mustRun(t *testing.T, g *ir.Graph, inputs map[string]reference.Tensor) map[string]reference.Tensor {
	t.Helper()
	out, err := reference.Run(g, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestShake: the gradient is dy times the second factor, whatever the first is.
func TestShake(t *testing.T) {
	g := ir.New("shake")
	x := g.Input("x", ir.F32(2, 3, 1, 2))
	forward, backward := g.Input("forward", ir.F32(2, 1, 1, 1)), g.Input("backward", ir.F32(2, 1, 1, 1))
	y := g.One("y", ir.Shake{}, x, forward, backward)
	weight := g.Input("weight", x.Type)
	grads, err := autodiff.Gradients(g, total(g, g.One("", ir.Binary{F: ir.Mul}, y, weight)), nil, []*ir.Value{x})
	if err != nil {
		t.Fatal(err)
	}
	g.Output("y", y)
	g.Output("dx", grads[0])
	r := rand.New(rand.NewPCG(9, 9))
	in := map[string]reference.Tensor{}
	for _, v := range g.Inputs {
		in[v.Name] = normal(r, v.Shape)
	}
	got := mustRun(t, g, in)
	for i, v := range in["x"].Data {
		n := i / 6
		if want := v * in["forward"].Data[n]; got["y"].Data[i] != want {
			t.Errorf("y[%d] is %g, want %g", i, got["y"].Data[i], want)
		}
		if want := in["weight"].Data[i] * in["backward"].Data[n]; got["dx"].Data[i] != want {
			t.Errorf("dx[%d] is %g, want %g", i, got["dx"].Data[i], want)
		}
	}
}

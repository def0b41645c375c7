package primitives

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// A differenceCase says how a backward primitive belongs to a forward
// operator: the graph computes y = forward(in…)[0] and, from dy, the gradients
// of in[i] for the inputs that have one.
type differenceCase struct {
	name    string
	forward ir.Op
	in      []reference.Tensor
	// backward appends the primitive and returns the gradients by the number
	// of the input they belong to.
	backward func(g *ir.Graph, dy *ir.Value, in, out []*ir.Value) map[int]*ir.Value
	// step of the central difference. Operators that are linear in each input
	// have no truncation error and take a large one.
	step      float64
	tolerance float64
}

func convDifference(a ir.ConvAttr, n, c, o int, size, kernel [2]int) differenceCase {
	r := seeded(3)
	d := differenceCase{
		name:    fmt.Sprintf("conv_n%d_c%d_o%d_%v_k%v_%+v", n, c, o, size, kernel, a),
		forward: ir.Conv{ConvAttr: a},
		in: []reference.Tensor{
			r.normal(0, 1, n, c, size[0], size[1]), r.normal(0, 1, o, c/a.Groups, kernel[0], kernel[1])},
		step: 0.5, tolerance: 1e-5,
	}
	d.backward = func(g *ir.Graph, dy *ir.Value, in, _ []*ir.Value) map[int]*ir.Value {
		return map[int]*ir.Value{
			0: g.One("dx", ir.ConvGradInput{ConvAttr: a, Input: size}, dy, in[1]),
			1: g.One("dw", ir.ConvGradWeight{ConvAttr: a, Kernel: kernel}, dy, in[0]),
		}
	}
	return d
}

func differenceCases() []differenceCase {
	r := seeded(4)
	one := func(op ir.Op, in ...int) func(*ir.Graph, *ir.Value, []*ir.Value, []*ir.Value) map[int]*ir.Value {
		return func(g *ir.Graph, dy *ir.Value, _, out []*ir.Value) map[int]*ir.Value {
			args := []*ir.Value{dy}
			if len(in) > 0 {
				args = append(args, out[in[0]])
			}
			return map[int]*ir.Value{0: g.One("dx", op, args...)}
		}
	}
	norm := func(s ...int) differenceCase {
		x := r.normal(1, 2, s...)
		return differenceCase{
			name: fmt.Sprintf("batch_norm_%v", s), forward: ir.BatchNormTrain{Eps: 1e-5},
			in:   []reference.Tensor{x, r.normal(1, 0.5, s[1]), r.normal(0, 1, s[1])},
			step: 0.02, tolerance: 1e-3,
			backward: func(g *ir.Graph, dy *ir.Value, in, out []*ir.Value) map[int]*ir.Value {
				d := g.Apply("dnorm", ir.BatchNormGrad{Eps: 1e-5}, dy, in[0], in[1], out[1], out[2])
				return map[int]*ir.Value{0: d[0], 1: d[1], 2: d[2]}
			},
		}
	}
	loss := func(n, k int) differenceCase {
		t := r.between(0, 1, n, k)
		return differenceCase{
			name: fmt.Sprintf("cross_entropy_%dx%d", n, k), forward: ir.SoftmaxCrossEntropy{},
			in:   []reference.Tensor{r.normal(0, 2, n, k), t},
			step: 0.02, tolerance: 1e-3,
			backward: func(g *ir.Graph, dy *ir.Value, in, out []*ir.Value) map[int]*ir.Value {
				return map[int]*ir.Value{0: g.One("dz", ir.SoftmaxCrossEntropyGrad{}, dy, out[1], in[1])}
			},
		}
	}
	binary := func(n, k int) differenceCase {
		return differenceCase{
			name: fmt.Sprintf("sigmoid_cross_entropy_%dx%d", n, k), forward: ir.SigmoidCrossEntropy{},
			in:   []reference.Tensor{r.normal(0, 2, n, k), r.between(0, 1, n, k)},
			step: 0.02, tolerance: 1e-3,
			backward: func(g *ir.Graph, dy *ir.Value, in, _ []*ir.Value) map[int]*ir.Value {
				return map[int]*ir.Value{0: g.One("dz", ir.SigmoidCrossEntropyGrad{}, dy, in[0], in[1])}
			},
		}
	}
	focal := func(n, k int, gamma float64) differenceCase {
		return differenceCase{
			name: fmt.Sprintf("softmax_focal_%v_%dx%d", gamma, n, k), forward: ir.SoftmaxFocal{Gamma: gamma},
			in:   []reference.Tensor{r.normal(0, 2, n, k), r.between(0, 1, n, k)},
			step: 0.02, tolerance: 1e-3,
			backward: func(g *ir.Graph, dy *ir.Value, in, out []*ir.Value) map[int]*ir.Value {
				return map[int]*ir.Value{0: g.One("dz", ir.SoftmaxFocalGrad{Gamma: gamma}, dy, out[1], in[1])}
			},
		}
	}
	binaryFocal := func(n, k int, gamma, alpha float64) differenceCase {
		return differenceCase{
			name: fmt.Sprintf("sigmoid_focal_%v_%v_%dx%d", gamma, alpha, n, k), forward: ir.SigmoidFocal{Gamma: gamma, Alpha: alpha},
			in:   []reference.Tensor{r.normal(0, 2, n, k), r.between(0, 1, n, k)},
			step: 0.02, tolerance: 1e-3,
			backward: func(g *ir.Graph, dy *ir.Value, in, _ []*ir.Value) map[int]*ir.Value {
				return map[int]*ir.Value{0: g.One("dz", ir.SigmoidFocalGrad{Gamma: gamma, Alpha: alpha}, dy, in[0], in[1])}
			},
		}
	}
	cut := ir.Subsample(ir.Shape{2, 3, 7, 9}, 2)
	rows := ir.Gather{Index: []int{3, 0, 3, 1, 1, 3}}
	cut.Start[3] = 1
	cut.Size[3] = 4
	plain := func(s, d, g int, pad ...int) ir.ConvAttr {
		return ir.ConvAttr{Stride: [2]int{s, s}, Pad: [4]int(pad), Dilation: [2]int{d, d}, Groups: g}
	}
	return append(append(windowDifferences(), activationDifferences()...), []differenceCase{
		convDifference(plain(1, 1, 1, 1, 1, 1, 1), 1, 3, 4, [2]int{7, 9}, [2]int{3, 3}),
		convDifference(plain(1, 1, 1, 1, 1, 1, 1), 2, 2, 3, [2]int{4, 4}, [2]int{3, 3}),
		convDifference(plain(2, 1, 1, 1, 1, 1, 1), 2, 3, 2, [2]int{7, 9}, [2]int{3, 3}),
		convDifference(plain(2, 1, 1, 1, 1, 1, 1), 1, 3, 2, [2]int{8, 8}, [2]int{3, 3}),
		convDifference(plain(1, 1, 1, 0, 0, 0, 0), 2, 3, 4, [2]int{5, 4}, [2]int{1, 1}),
		convDifference(plain(2, 1, 1, 0, 0, 0, 0), 1, 3, 4, [2]int{7, 8}, [2]int{1, 1}),
		convDifference(plain(2, 1, 1, 3, 3, 3, 3), 1, 3, 2, [2]int{9, 8}, [2]int{7, 7}),
		convDifference(plain(3, 1, 1, 2, 0, 1, 3), 1, 2, 2, [2]int{7, 9}, [2]int{5, 5}),
		convDifference(plain(1, 2, 1, 2, 2, 2, 2), 1, 2, 2, [2]int{7, 6}, [2]int{3, 3}),
		convDifference(plain(2, 1, 2, 1, 1, 1, 1), 2, 4, 6, [2]int{5, 5}, [2]int{3, 3}),
		convDifference(plain(1, 1, 3, 1, 1, 1, 1), 1, 3, 3, [2]int{5, 5}, [2]int{3, 3}),
		convDifference(plain(1, 1, 1, 1, 1, 1, 1), 1, 5, 4, [2]int{1, 1}, [2]int{3, 3}),
		// What the blocked forms take: channels and batch in multiples of 16.
		convDifference(plain(1, 1, 1, 1, 1, 1, 1), 16, 16, 16, [2]int{2, 3}, [2]int{3, 3}),
		convDifference(plain(2, 1, 1, 1, 1, 1, 1), 16, 16, 16, [2]int{4, 2}, [2]int{3, 3}),
		convDifference(plain(1, 1, 1, 1, 1, 1, 1), 16, 3, 16, [2]int{4, 5}, [2]int{3, 3}),
		convDifference(plain(1, 1, 1, 0, 0, 0, 0), 4, 16, 16, [2]int{2, 3}, [2]int{1, 1}),
		convDifference(plain(1, 1, 32, 1, 1, 1, 1), 2, 32, 32, [2]int{4, 3}, [2]int{3, 3}),
		convDifference(plain(2, 1, 16, 2, 2, 2, 2), 2, 16, 16, [2]int{5, 4}, [2]int{5, 5}),
		convDifference(plain(2, 2, 16, 2, 2, 2, 2), 1, 16, 16, [2]int{6, 6}, [2]int{3, 3}),
		convDifference(plain(1, 1, 8, 1, 1, 1, 1), 2, 32, 32, [2]int{3, 4}, [2]int{3, 3}),
		convDifference(plain(2, 1, 8, 1, 1, 1, 1), 2, 32, 32, [2]int{4, 4}, [2]int{3, 3}),
		convDifference(plain(1, 1, 2, 1, 1, 1, 1), 4, 32, 32, [2]int{2, 3}, [2]int{3, 3}),
		norm(3, 16, 3, 4), norm(1, 3, 3, 3), norm(5, 2, 1, 1), norm(3, 4, 7, 9), norm(1, 1, 16, 12),
		loss(1, 3), loss(5, 10), loss(3, 17),
		binary(1, 2), binary(4, 7),
		focal(5, 10, 2), focal(3, 4, 0.5), focal(1, 2, 0),
		binaryFocal(4, 7, 2, 0.25), binaryFocal(3, 10, 0.5, -1), binaryFocal(2, 2, 0, 0.5),
		{name: "relu_blocks", forward: ir.Unary{F: ir.Relu}, in: []reference.Tensor{awayFromZero(r, 2, 16, 3, 4)},
			backward: one(ir.ReluGrad{}, 0), step: 0.125, tolerance: 1e-5},
		{name: "subsample_blocks", forward: ir.Subsample(ir.Shape{2, 16, 4, 6}, 2), in: []reference.Tensor{r.normal(0, 1, 2, 16, 4, 6)},
			backward: one(ir.SliceGrad{Slice: ir.Subsample(ir.Shape{2, 16, 4, 6}, 2), Input: [4]int{2, 16, 4, 6}}), step: 0.5, tolerance: 1e-5},
		{name: "pool_blocks", forward: ir.GlobalAvgPool{}, in: []reference.Tensor{r.normal(0, 1, 3, 32, 2, 3)},
			backward: one(ir.GlobalAvgPoolGrad{Input: [2]int{2, 3}}), step: 0.5, tolerance: 1e-5},
		{name: "relu", forward: ir.Unary{F: ir.Relu}, in: []reference.Tensor{awayFromZero(r, 2, 3, 7, 9)},
			backward: one(ir.ReluGrad{}, 0), step: 0.125, tolerance: 1e-5},
		{name: "slice", forward: cut, in: []reference.Tensor{r.normal(0, 1, 2, 3, 7, 9)},
			backward: one(ir.SliceGrad{Slice: cut, Input: [4]int{2, 3, 7, 9}}), step: 0.5, tolerance: 1e-5},
		{name: "gather", forward: rows, in: []reference.Tensor{r.normal(0, 1, 5, 3)},
			backward: one(ir.GatherGrad{Gather: rows, Size: 5}), step: 0.5, tolerance: 1e-5},
		{name: "pool", forward: ir.GlobalAvgPool{}, in: []reference.Tensor{r.normal(0, 1, 3, 4, 7, 5)},
			backward: one(ir.GlobalAvgPoolGrad{Input: [2]int{7, 5}}), step: 0.5, tolerance: 1e-5},
	}...)
}

// awayFromZero draws numbers clear of the kink of Relu by more than a step.
func awayFromZero(r source, shape ...int) reference.Tensor {
	t := r.normal(0, 1, shape...)
	for i, x := range t.Data {
		t.Data[i] = x + math.Copysign(0.25, x)
	}
	return t
}

// TestCentralDifferences checks the gradients that the runtime computes
// against differences of the forward operator that the runtime computes: no
// Go arithmetic stands between them but the dot product with dy. Every form of
// a backward primitive takes part.
func TestCentralDifferences(t *testing.T) {
	ortest.Open(t)
	applied := map[string]int{}
	for _, c := range differenceCases() {
		t.Run(c.name, func(t *testing.T) {
			g, inputs := ir.New("difference"), map[string]reference.Tensor{}
			in := make([]*ir.Value, len(c.in))
			for i, x := range c.in {
				in[i] = g.Input(fmt.Sprintf("in%d", i), ir.F32(x.Shape...))
				inputs[in[i].Name] = x.Clone()
			}
			out := g.Apply("y", c.forward, in...)
			dy := g.Input("dy", out[0].Type)
			inputs["dy"] = seeded(5).normal(0, 1, dy.Shape...)
			g.Output("out", out[0])
			grads := c.backward(g, dy, in, out)
			for i, d := range grads {
				g.Output(fmt.Sprintf("grad%d", i), d)
			}
			s := load(t, g, lower.Options{Provider: "cpu"})
			run := func() map[string]reference.Tensor {
				got, err := s.run(inputs)
				if err != nil {
					t.Fatal(err)
				}
				return got
			}
			want := map[string]reference.Tensor{}
			for i := range grads {
				want[fmt.Sprintf("grad%d", i)] = reference.Difference(func(reference.Tensor) float64 {
					sum, y := 0.0, run()["out"]
					for j, d := range inputs["dy"].Data {
						sum += d * y.Data[j]
					}
					return sum
				}, inputs[in[i].Name], c.step)
			}
			check := func(s session, form string) {
				got, err := s.run(inputs)
				if err != nil {
					t.Fatal(err)
				}
				for name, w := range want {
					if d := reference.Distance(got[name], w); d > c.tolerance {
						t.Errorf("%s (%s) is %.2g away from the difference", name, form, d)
					}
				}
			}
			check(s, "form chosen by cost")
			for _, n := range g.Nodes {
				kind := n.Op.Kind()
				for _, form := range lower.Forms(kind) {
					o := lower.Options{Provider: "cpu", Forms: map[string]string{kind: form}}
					if strings.HasPrefix(form, "blocked") {
						o.Block = runtime.ChannelBlock()
					}
					if form == "kernel" {
						if ortest.Kernels() == nil {
							continue
						}
						o = kernels()
						o.Forms = map[string]string{kind: form}
					}
					if _, err := lower.Lower(g, o); errors.Is(err, lower.ErrForm) {
						continue
					}
					check(load(t, g, o), form)
					applied[kind+" "+form]++
				}
			}
		})
	}
	for _, kind := range []string{"ConvGradInput", "ConvGradWeight", "BatchNormGrad", "ReluGrad", "SoftmaxCrossEntropyGrad", "SigmoidCrossEntropyGrad", "SoftmaxFocalGrad", "SigmoidFocalGrad", "SliceGrad", "GatherGrad", "GlobalAvgPoolGrad", "MaxPoolGrad", "AvgPoolGrad",
		"ErfGrad", "SigmoidGrad", "TanhGrad", "SiluGrad", "HardSwishGrad", "GeluGrad", "GeluTanhGrad", "HardSigmoidGrad", "ClipGrad"} {
		for _, form := range lower.Forms(kind) {
			if form == "kernel" && ortest.Kernels() == nil {
				continue
			}
			if applied[kind+" "+form] == 0 && (runtime.ChannelBlock() != 0 || !strings.HasPrefix(form, "blocked")) {
				t.Errorf("no case for %s in form %s", kind, form)
			}
		}
	}
}

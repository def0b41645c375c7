package primitives

import (
	"fmt"
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/reference"
)

// activation is a smooth or piecewise function with its gradient; fromOutput
// says that the gradient reads the output, both that it reads input and output.
type activation struct {
	forward, backward ir.Op
	fromOutput, both  bool
}

func activations() []activation {
	inf := float32(math.Inf(1))
	unary := func(f ir.UnaryKind, g ir.UnaryGradKind) activation {
		return activation{forward: ir.Unary{F: f}, backward: ir.UnaryGrad{F: g}}
	}
	all := []activation{
		unary(ir.Erf, ir.ErfGrad), unary(ir.HardSwish, ir.HardSwishGrad), unary(ir.Gelu, ir.GeluGrad), unary(ir.GeluTanh, ir.GeluTanhGrad),
		{forward: ir.Unary{F: ir.Sigmoid}, backward: ir.UnaryGrad{F: ir.SigmoidGrad}, fromOutput: true},
		{forward: ir.Unary{F: ir.Tanh}, backward: ir.UnaryGrad{F: ir.TanhGrad}, fromOutput: true},
		{forward: ir.Unary{F: ir.Silu}, backward: ir.UnaryGrad{F: ir.SiluGrad}, both: true},
	}
	for _, h := range []ir.HardSigmoid{{Alpha: 1.0 / 6, Beta: 0.5}, {Alpha: 0.2, Beta: 0.5}} {
		all = append(all, activation{forward: h, backward: ir.HardSigmoidGrad{Alpha: h.Alpha}, fromOutput: true})
	}
	for _, c := range []ir.Clip{{Low: 0, High: 6}, {Low: -1.5, High: 0.75}, {Low: 0, High: inf}, {Low: -inf, High: 0.5}, {Low: -inf, High: inf}} {
		all = append(all, activation{forward: c, backward: ir.ClipGrad(c), fromOutput: true})
	}
	return all
}

// inputs of the gradient for dy and x.
func (a activation) gradInputs(dy, x reference.Tensor) []reference.Tensor {
	y := mustApply(a.forward, x)[0]
	switch {
	case a.both:
		return []reference.Tensor{dy, x, y}
	case a.fromOutput:
		return []reference.Tensor{dy, y}
	}
	return []reference.Tensor{dy, x}
}

func activationCases() []testCase {
	r := seeded(11)
	var cases []testCase
	for _, a := range activations() {
		for _, s := range append([]ir.Shape{nil, {17}, {5, 3}}, images...) {
			x := r.normal(0, 2.5, s...)
			cases = append(cases, testCase{a.forward, []reference.Tensor{x}},
				testCase{a.backward, a.gradInputs(r.normal(0, 1, s...), x)})
		}
		// Far out, where exponentials overflow or vanish.
		far := r.normal(0, 1, 2, 16, 3, 3)
		for i := range far.Data {
			far.Data[i] = float64(float32(far.Data[i] * math.Pow(10, float64(i%4))))
		}
		cases = append(cases, testCase{a.forward, []reference.Tensor{far}},
			testCase{a.backward, a.gradInputs(r.normal(0, 1, far.Shape...), far)})
	}
	for _, s := range images {
		for _, f := range []ir.Shape{{s[0], 1, 1, 1}, {1, 1, 1, 1}, nil, {s[0], s[1], 1, 1}, {1, s[1], 1, 1}} {
			x, gate := r.normal(0, 1, s...), r.between(-1, 1, f...)
			cases = append(cases, testCase{ir.Shake{}, []reference.Tensor{x, gate, r.between(0, 1, f...)}},
				testCase{ir.Binary{F: ir.Mul}, []reference.Tensor{x, gate}}, testCase{ir.Binary{F: ir.Mul}, []reference.Tensor{gate, x}})
		}
		for axis := range 4 {
			one, two := append(ir.Shape(nil), s...), append(ir.Shape(nil), s...)
			one[axis], two[axis] = 16, 3
			cases = append(cases, testCase{ir.Concat{Axis: axis}, []reference.Tensor{r.normal(0, 1, s...), r.normal(0, 1, one...), r.normal(0, 1, two...)}},
				testCase{ir.Concat{Axis: axis}, []reference.Tensor{r.normal(0, 1, one...), r.normal(0, 1, s...)}})
		}
		for _, axes := range []uint{ir.Axes(2, 3), ir.Axes(0, 2, 3), ir.Axes(1)} {
			for _, keep := range []bool{false, true} {
				cases = append(cases, testCase{ir.Sum{Axes: axes, Keep: keep}, []reference.Tensor{r.normal(0.5, 1, s...)}})
			}
		}
	}
	return cases
}

// activationDifferences are the cases of the activations' gradients, away from
// the kinks of the piecewise ones.
func activationDifferences() []differenceCase {
	r := seeded(13)
	var cases []differenceCase
	for i, a := range activations() {
		for _, s := range []ir.Shape{{2, 3, 3, 5}, {2, 16, 2, 3}} {
			x := r.normal(0, 2, s...)
			for j, v := range x.Data {
				for _, kink := range []float64{-3, -2.5, -1.5, 0, 0.5, 0.75, 2.5, 3, 6} {
					if d := v - kink; math.Abs(d) < 0.06 {
						x.Data[j] = kink + math.Copysign(0.06, d)
					}
				}
			}
			cases = append(cases, differenceCase{
				name: fmt.Sprintf("%s_%d_%v", a.forward.Kind(), i, s), forward: a.forward, in: []reference.Tensor{x}, step: 0.02, tolerance: 2e-3,
				backward: func(g *ir.Graph, dy *ir.Value, in, out []*ir.Value) map[int]*ir.Value {
					args := []*ir.Value{dy}
					if a.both || !a.fromOutput {
						args = append(args, in[0])
					}
					if a.both || a.fromOutput {
						args = append(args, out[0])
					}
					return map[int]*ir.Value{0: g.One("dx", a.backward, args...)}
				},
			})
		}
	}
	return cases
}

// groupCases are convolutions in groups and depthwise ones, in plain channel
// counts and in those that blocks want, and convolutions with a bias.
func groupCases() []testCase {
	r := seeded(12)
	var cases []testCase
	add := func(a ir.ConvAttr, n, c, o int, size, kernel [2]int) {
		out, err := a.OutSize(size, kernel)
		if err != nil {
			return
		}
		x, w := r.normal(0.2, 1, n, c, size[0], size[1]), r.normal(0, 1, o, c/a.Groups, kernel[0], kernel[1])
		dy := r.normal(0.1, 1, n, o, out[0], out[1])
		cases = append(cases,
			testCase{ir.Conv{ConvAttr: a}, []reference.Tensor{x, w}},
			testCase{ir.Conv{ConvAttr: a}, []reference.Tensor{x, w, r.normal(0, 1, o)}},
			testCase{ir.ConvGradInput{ConvAttr: a, Input: size}, []reference.Tensor{dy, w}},
			testCase{ir.ConvGradWeight{ConvAttr: a, Kernel: kernel}, []reference.Tensor{dy, x}})
	}
	at := 0
	for i, g := range [][3]int{ // channels, outputs, groups
		{5, 5, 5}, {16, 16, 16}, {32, 32, 32}, {48, 48, 48}, {4, 8, 4}, {16, 32, 16}, {6, 9, 3},
		{16, 16, 4}, {32, 32, 8}, {64, 64, 8}, {32, 64, 2}, {16, 32, 2}, {24, 24, 3}, {16, 16, 1}, {3, 16, 1},
		{64, 64, 4}, {32, 32, 2},
	} {
		for _, k := range [][2]int{{3, 3}, {5, 5}, {1, 1}, {1, 7}, {7, 1}, {2, 3}} {
			for _, stride := range []int{1, 2} {
				for _, dilation := range []int{1, 2} {
					if dilation > 1 && (k[0] == 1 || i%2 == 1) {
						continue
					}
					a := ir.ConvAttr{Stride: [2]int{stride, stride}, Dilation: [2]int{dilation, dilation}, Groups: g[2],
						Pad: [4]int{(k[0] - 1) / 2 * dilation, (k[1] - 1) / 2 * dilation, k[0] / 2 * dilation, k[1] / 2 * dilation}}
					// Even, odd, and with padding to one side, in turn.
					at++
					if at%3 == 2 {
						a.Pad = [4]int{0, 1, 1, 0}
					}
					n := 1 + at%2
					if i > 12 {
						n = 4 // what batches in blocks want
					}
					add(a, n, g[0], g[1], [][2]int{{8, 8}, {7, 9}, {9, 10}}[at%3], k)
				}
			}
		}
	}
	return cases
}

package primitives

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/reference"
)

// testCase is one application of an operator to given numbers, which are
// float32 values held in float64.
type testCase struct {
	op ir.Op
	in []reference.Tensor
}

func (c testCase) String() string {
	s := fmt.Sprintf("%s%+v", c.op.Kind(), c.op)
	for _, t := range c.in {
		s += fmt.Sprintf(" %v", t.Shape)
	}
	return s
}

// source draws test numbers; equal seeds give equal cases.
type source struct{ *rand.Rand }

func seeded(seed uint64) source { return source{rand.New(rand.NewPCG(seed, 2))} }

// normal draws from N(mean, std²).
func (r source) normal(mean, std float64, shape ...int) reference.Tensor {
	t := reference.Zeros(shape)
	for i := range t.Data {
		t.Data[i] = float64(float32(mean + std*r.NormFloat64()))
	}
	return t
}

// between draws from U(lo, hi).
func (r source) between(lo, hi float64, shape ...int) reference.Tensor {
	t := reference.Zeros(shape)
	for i := range t.Data {
		t.Data[i] = float64(float32(lo + (hi-lo)*r.Float64()))
	}
	return t
}

// mustApply evaluates the reference and rounds to float32, to feed one
// operator's result to the next.
func mustApply(op ir.Op, in ...reference.Tensor) []reference.Tensor {
	out, err := reference.Apply(op, in...)
	if err != nil {
		panic(err)
	}
	for i, t := range out {
		out[i] = reference.FromFloat32(t.Shape, t.Float32())
	}
	return out
}

// images are the N×C×H×W shapes that the element-wise, norm and pooling
// operators are tested with.
var images = []ir.Shape{
	{1, 1, 1, 2}, {1, 3, 7, 9}, {5, 16, 8, 8}, {2, 17, 16, 12}, {5, 1, 1, 1}, {1, 16, 3, 1}, {3, 4, 1, 5}, {2, 8, 32, 32},
	{3, 32, 7, 9}, {2, 48, 6, 4}, {1, 16, 1, 1},
}

// otherCases lists the cases of every operator but the convolutions.
func otherCases() []testCase {
	r := seeded(1)
	var cases []testCase
	add := func(op ir.Op, in ...reference.Tensor) { cases = append(cases, testCase{op, in}) }

	for _, s := range append([]ir.Shape{nil, {1}, {17}, {5, 3}, {2, 3, 4}}, images...) {
		for _, f := range []ir.UnaryKind{ir.Relu, ir.Neg, ir.Abs, ir.Sign, ir.Exp, ir.Tanh} {
			add(ir.Unary{F: f}, r.normal(0, 1, s...))
		}
		for _, f := range []ir.UnaryKind{ir.Sqrt, ir.Log} {
			add(ir.Unary{F: f}, r.between(0.1, 4, s...))
		}
		y := mustApply(ir.Unary{F: ir.Relu}, r.normal(0, 1, s...))[0]
		add(ir.ReluGrad{}, r.normal(0, 1, s...), y)
		// y = 0 everywhere, as behind a dead unit, and y < 0, which Relu
		// never gives: both block the gradient.
		add(ir.ReluGrad{}, r.normal(0, 1, s...), reference.Zeros(s))
		add(ir.ReluGrad{}, r.normal(0, 1, s...), r.normal(0, 1, s...))
	}
	for _, f := range []ir.BinaryKind{ir.Add, ir.Sub, ir.Mul, ir.Div, ir.Max, ir.Min} {
		for _, s := range [][2]ir.Shape{
			{{5, 3, 7, 9}, {5, 3, 7, 9}}, {{5, 16, 4, 6}, {5, 16, 4, 6}}, {{2, 32, 3, 3}, {2, 32, 3, 3}},
			{{1, 48, 2, 1}, {1, 48, 2, 1}}, {{2, 16, 4, 4}, {1, 16, 1, 1}}, {{17}, {17}}, {{5, 10}, {10}}, {{10}, {5, 10}}, {{2, 3, 4, 5}, {1, 3, 1, 1}},
			{{3, 1}, {1, 4}}, {{5, 3}, nil}, {nil, {5, 3}}, {nil, nil}, {{2, 1, 4, 1}, {3, 1, 5}}, {{1}, {1, 1, 1}},
		} {
			add(ir.Binary{F: f}, r.normal(0, 1, s[0]...), r.between(0.5, 2, s[1]...))
		}
	}
	for _, d := range [][3]int{{1, 1, 1}, {5, 16, 10}, {128, 64, 10}, {3, 17, 1}, {1, 7, 9}, {33, 1, 5}} {
		for _, ta := range []bool{false, true} {
			for _, tb := range []bool{false, true} {
				a, b := [2]int{d[0], d[1]}, [2]int{d[1], d[2]}
				if ta {
					a[0], a[1] = a[1], a[0]
				}
				if tb {
					b[0], b[1] = b[1], b[0]
				}
				add(ir.MatMul{TransA: ta, TransB: tb}, r.normal(0, 1, a[:]...), r.normal(0, 1, b[:]...))
				add(ir.Gemm{TransA: ta, TransB: tb, Alpha: 2.0315, Beta: -4.775},
					r.normal(0, 1, a[:]...), r.normal(0, 1, b[:]...), r.normal(0, 1, d[0], d[2]))
			}
		}
	}
	for _, s := range []ir.Shape{nil, {1}, {17}, {3, 16, 5, 4}, {100_003}} {
		x, y := r.normal(0, 1, s...), r.normal(0, 1, s...)
		add(ir.SumSquares{}, x)
		for _, measure := range []float64{0, -2.5, math.MaxFloat32, math.Inf(1), math.Inf(-1), math.NaN()} {
			add(ir.KeepFinite{}, reference.Scalar(measure), x, y)
		}
	}
	for _, s := range []ir.Shape{{5, 3, 7, 9}, {5, 3}, {17}, {1, 1, 1, 1}, {2, 3, 4}} {
		for axes := uint(1); axes < 1<<len(s); axes++ {
			for _, keep := range []bool{false, true} {
				add(ir.Sum{Axes: axes, Keep: keep}, r.normal(0.5, 1, s...))
			}
		}
	}
	for _, s := range images {
		n := s.Size() / s[1]
		x := r.normal(0, 1, s...)
		for i := range x.Data {
			// Channels of different means and spreads.
			c := float64(i / (s[2] * s[3]) % s[1])
			x.Data[i] = float64(float32(x.Data[i]*(0.5+c/4) + c - 1))
		}
		for _, eps := range []float32{1e-5, 1e-3} {
			scale, shift := r.normal(1, 0.5, s[1]), r.normal(0, 1, s[1])
			if n > 1 {
				// One element has no variance, and y is what is left of
				// terms of 1/√ε times its size: see TestBatchNormAccuracy.
				add(ir.BatchNormTrain{Eps: eps}, x, scale, shift)
			}
			add(ir.BatchNormInfer{Eps: eps}, x, scale, shift, r.normal(0, 1, s[1]), r.between(0.1, 3, s[1]))
			stats := mustApply(ir.BatchNormTrain{Eps: eps}, x, scale, shift)
			if n > 2 {
				// Of two elements dx is a difference that cancels entirely:
				// see TestBatchNormAccuracy.
				add(ir.BatchNormGrad{Eps: eps}, r.normal(0.1, 1, s...), x, scale, stats[1], stats[2])
			}
		}
		in := [2]int{s[2], s[3]}
		add(ir.GlobalAvgPool{}, x)
		add(ir.GlobalAvgPoolGrad{Input: in}, r.normal(0, 1, s[0], s[1]))
	}
	for _, s := range []ir.Shape{{1, 2}, {5, 10}, {128, 10}, {3, 17}, {4, 1}, {2, 1000}} {
		z, t := r.normal(0, 4, s...), r.between(0, 1, s...)
		for i := range s[0] {
			row := t.Data[i*s[1] : (i+1)*s[1]]
			sum := 0.0
			for j := range row {
				// A peaked distribution, as smoothing makes.
				if j == i%s[1] {
					row[j] += 9
				}
				sum += row[j]
			}
			for j := range row {
				row[j] = float64(float32(row[j] / sum))
			}
		}
		add(ir.SoftmaxCrossEntropy{}, z, t)
		logp := mustApply(ir.SoftmaxCrossEntropy{}, z, t)[1]
		add(ir.SoftmaxCrossEntropyGrad{}, reference.Scalar(1), logp, t)
		add(ir.SoftmaxCrossEntropyGrad{}, reference.Scalar(-2.5), logp, r.between(0, 1, s...))
		hot := reference.Zeros(s)
		for i := range s[0] {
			hot.Data[i*s[1]+i%s[1]] = 1
			// Logits far apart: exp would overflow without a shift.
			z.Data[i*s[1]] += 500
		}
		add(ir.SoftmaxCrossEntropy{}, z, hot)
		add(ir.Softmax{}, z)
		add(ir.Softmax{}, r.normal(0, 1, s...))
	}
	for _, s := range [][2]ir.Shape{{{2, 3, 4}, {6, 4}}, {{12}, {3, 1, 4}}, {{1, 1}, nil}, {nil, {1}}, {{5, 3, 7, 9}, {5, 189}}} {
		add(ir.ReshapeTo(s[1]), r.normal(0, 1, s[0]...))
	}
	for _, c := range sliceCases() {
		add(c.op, r.normal(0, 1, c.in...))
		size := ir.Shape(c.op.Size[:len(c.in)])
		grad := ir.SliceGrad{Slice: c.op}
		copy(grad.Input[:], c.in)
		add(grad, r.normal(0, 1, size...))
	}
	for _, c := range []struct {
		in ir.Shape
		op ir.Gather
	}{
		{ir.Shape{4}, ir.Gather{Index: []int{3, 2, 1, 0}}},
		{ir.Shape{9, 3}, ir.Gather{Index: []int{4, 5, 7, 8, 3, 4, 6, 7, 1, 2, 4, 5, 0, 1, 3, 4}}}, // Swin's table of a 2×2 window
		{ir.Shape{2, 3, 5}, ir.Gather{Axis: 1, Index: []int{2}}},
		{ir.Shape{2, 3, 4, 5}, ir.Gather{Axis: 3, Index: []int{2, 1, 0, 1, 2, 3, 4, 3}}}, // reflection
		{ir.Shape{2, 1, 2, 3, 4}, ir.Gather{Axis: 4, Index: []int{0, 0, 0}}},
	} {
		add(c.op, r.normal(0, 1, c.in...))
		dy := append(ir.Shape(nil), c.in...)
		dy[c.op.Axis] = len(c.op.Index)
		add(ir.GatherGrad{Gather: c.op, Size: c.in[c.op.Axis]}, r.normal(0, 1, dy...))
	}
	for _, p := range []ir.Pad{
		{}, {After: [4]int{1}}, {Before: [4]int{0, 8}, After: [4]int{0, 8}}, {Before: [4]int{1, 2, 3, 4}, After: [4]int{4, 3, 2, 1}},
	} {
		add(p, r.normal(0, 1, 2, 3, 4, 5))
		add(p, r.normal(0, 1, 1, 1))
	}
	for _, p := range [][2]int{{8, 8}, {0, 16}, {16, 16}, {5, 27}, {1, 2}} {
		// Channels for the shortcut of a residual block.
		add(ir.Pad{Before: [4]int{1: p[0]}, After: [4]int{1: p[1]}}, r.normal(0, 1, 2, 16, 4, 6))
		add(ir.Pad{Before: [4]int{1: p[0]}, After: [4]int{1: p[1]}}, r.normal(0, 1, 1, 32, 3, 5))
	}
	cases = append(cases, windowCases()...)
	add(ir.Concat{}, r.normal(0, 1, 4))
	add(ir.Concat{}, r.normal(0, 1, 1), r.normal(0, 1, 17), r.normal(0, 1, 3))
	// Long vectors in stretches of rows on CUDA: one, several, and too many.
	add(ir.Concat{}, r.normal(0, 1, 4096), r.normal(0, 1, 64), r.normal(0, 1, 160))
	add(ir.Concat{}, r.normal(0, 1, 10), r.normal(0, 1, 4096))
	add(ir.Concat{}, r.normal(0, 1, 7), r.normal(0, 1, 3200), r.normal(0, 1, 48), r.normal(0, 1, 1728), r.normal(0, 1, 10), r.normal(0, 1, 33))
	add(ir.Concat{}, r.normal(0, 1, 5000), r.normal(0, 1, 1), r.normal(0, 1, 2), r.normal(0, 1, 3), r.normal(0, 1, 4), r.normal(0, 1, 5), r.normal(0, 1, 6), r.normal(0, 1, 7), r.normal(0, 1, 8), r.normal(0, 1, 9))
	add(ir.Split{Parts: []ir.Shape{{4}}}, r.normal(0, 1, 4))
	add(ir.Split{Parts: []ir.Shape{{64, 3, 3, 3}, {64}, nil, {10}}}, r.normal(0, 1, 1803))
	add(ir.Split{Parts: []ir.Shape{{1}, {5, 2}}}, r.normal(0, 1, 11))
	add(ir.Split{Parts: []ir.Shape{{2, 2}, nil, {3}, {1, 2, 3, 1}}}, r.normal(0, 1, 14))
	add(ir.Runs{Lengths: []int{1}, Values: []float32{2}})
	add(ir.Runs{Lengths: []int{3, 1, 17}, Values: []float32{1, 0, -0.5}})
	for _, s := range []ir.Shape{{1, 2}, {5, 10}, {3, 17}} {
		z, t := r.normal(0, 3, s...), r.between(0, 1, s...)
		z.Data[0], z.Data[1] = 400, -400
		add(ir.SigmoidCrossEntropy{}, z, t)
		add(ir.SigmoidCrossEntropyGrad{}, reference.Scalar(1.5), z, t)
		for _, gamma := range []float64{0, 0.5, 1, 2, 5} {
			add(ir.SigmoidFocal{Gamma: gamma, Alpha: 0.25}, z, t)
			add(ir.SigmoidFocalGrad{Gamma: gamma, Alpha: 0.25}, reference.Scalar(1.5), z, t)
			add(ir.SigmoidFocalGrad{Gamma: gamma, Alpha: -1}, reference.Scalar(1), z, t)
			// Logits far apart, among them a certain and right answer.
			sure := z.Clone()
			sure.Data[0], t.Data[0] = 60, 1
			add(ir.SoftmaxFocal{Gamma: gamma}, sure, t)
			logp := mustApply(ir.SoftmaxCrossEntropy{}, sure, t)[1]
			add(ir.SoftmaxFocalGrad{Gamma: gamma}, reference.Scalar(-2.5), logp, t)
			add(ir.SigmoidFocal{Gamma: gamma, Alpha: -1}, sure, t)
			add(ir.SigmoidFocalGrad{Gamma: gamma, Alpha: 0.5}, reference.Scalar(1), sure, t)
		}
	}
	// Ties, subnormal and too large numbers of float16.
	edges := reference.FromFloat32(ir.Shape{9}, []float32{1 + 0x1p-11, 1 + 0x1.8p-10, 0x1p-24, 0x1p-25, 0x1.8p-25, 1e-3, 65504, 65519, -65520})
	add(ir.Cast{To: ir.Float16}, edges)
	add(ir.Cast{To: ir.Float32}, edges)
	add(ir.Cast{To: ir.Float16}, r.normal(0, 1, 5, 3, 7, 9))
	// One factor for each image, as stochastic depth has.
	add(ir.Binary{F: ir.Mul}, r.normal(0, 1, 5, 16, 8, 8), r.normal(0, 1, 5, 1, 1, 1))
	add(ir.Binary{F: ir.Mul}, r.normal(0, 1, 4, 1, 1, 1), r.normal(0, 1, 4, 32, 5, 3))
	return cases
}

type sliceCase struct {
	in ir.Shape
	op ir.Slice
}

func sliceCases() []sliceCase {
	cases := []sliceCase{
		{ir.Shape{9}, ir.Slice{Start: [4]int{2}, Step: [4]int{3}, Size: [4]int{2}}},
		{ir.Shape{9}, ir.Slice{Start: [4]int{0}, Step: [4]int{4}, Size: [4]int{3}}},
		{ir.Shape{5}, ir.Slice{Step: [4]int{1}, Size: [4]int{5}}},
		{ir.Shape{5, 6}, ir.Slice{Start: [4]int{1, 5}, Step: [4]int{2, 7}, Size: [4]int{2, 1}}},
		{ir.Shape{3, 4, 2}, ir.Slice{Start: [4]int{1, 2, 0}, Step: [4]int{1, 1, 5}, Size: [4]int{2, 2, 1}}},
		{ir.Shape{4, 5, 7, 6}, ir.Slice{Start: [4]int{1, 0, 2, 1}, Step: [4]int{2, 3, 2, 4}, Size: [4]int{2, 2, 3, 2}}},
	}
	for _, start := range []int{0, 3, 8, 16} {
		// A range of channels, with and without subsampling.
		for _, stride := range []int{1, 2} {
			s := ir.Subsample(ir.Shape{3, 32, 6, 7}, stride)
			s.Start[1], s.Size[1] = start, 16
			cases = append(cases, sliceCase{ir.Shape{3, 32, 6, 7}, s})
		}
	}
	for _, s := range append([]ir.Shape{{2, 16, 12, 6}}, images...) {
		for _, stride := range []int{1, 2, 3} {
			cases = append(cases, sliceCase{s, ir.Subsample(s, stride)})
		}
	}
	return cases
}

// convCases crosses stride, padding, kernel and size, and draws batch,
// channels, groups and dilation for each.
func convCases() []testCase {
	r := seeded(2)
	var cases []testCase
	add := func(a ir.ConvAttr, n, c, o int, size, kernel [2]int) {
		out, err := a.OutSize(size, kernel)
		if err != nil || out[0] < 1 || out[1] < 1 {
			return
		}
		x, w := r.normal(0.2, 1, n, c, size[0], size[1]), r.normal(0, 1, o, c/a.Groups, kernel[0], kernel[1])
		dy := r.normal(0.1, 1, n, o, out[0], out[1])
		cases = append(cases,
			testCase{ir.Conv{ConvAttr: a}, []reference.Tensor{x, w}},
			testCase{ir.ConvGradInput{ConvAttr: a, Input: size}, []reference.Tensor{dy, w}},
			testCase{ir.ConvGradWeight{ConvAttr: a, Kernel: kernel}, []reference.Tensor{dy, x}})
	}
	square := func(n int) [2]int { return [2]int{n, n} }
	paddings := [][4]int{{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 2, 2, 2}, {3, 3, 3, 3}, {0, 1, 1, 0}, {2, 0, 1, 3}}
	channels := []int{1, 3, 16, 17}
	for _, stride := range [][2]int{{1, 1}, {2, 2}, {3, 3}, {2, 1}} {
		for _, pad := range paddings {
			for _, kernel := range [][2]int{{1, 1}, {2, 2}, {3, 3}, {5, 5}, {7, 7}, {1, 3}} {
				for _, size := range [][2]int{{1, 1}, {7, 9}, {8, 8}, {16, 12}} {
					a := ir.ConvAttr{Stride: stride, Pad: pad, Dilation: square(1), Groups: 1}
					n, c, o := 1+4*r.IntN(2), channels[r.IntN(4)], channels[r.IntN(4)]
					switch r.IntN(4) {
					case 0:
						a.Dilation = [2]int{1 + r.IntN(2), 1 + r.IntN(3)}
					case 1:
						// Two groups, or one group per channel (depthwise).
						a.Groups, c, o = 2, 6, 4
						if r.IntN(2) == 0 {
							a.Groups, c, o = 3, 3, 3*(1+r.IntN(2))
						}
					}
					// Keep the reference quick on the largest.
					if work := n * c * o * size[0] * size[1] * kernel[0] * kernel[1]; work > 1<<21 {
						n, c = 1, 3*a.Groups
						if a.Groups > 1 {
							c = a.Groups
						}
					}
					add(a, n, c, o, size, kernel)
				}
			}
		}
	}
	// What residual networks are made of, and the shapes their ends take.
	for _, n := range []int{1, 5} {
		add(ir.Window(1, 1), n, 16, 16, square(8), square(3))
		add(ir.Window(2, 1), n, 16, 17, square(8), square(3))
		add(ir.Window(2, 1), n, 16, 32, [2]int{7, 9}, square(3))
		add(ir.Window(2, 0), n, 16, 32, square(8), square(1))
		add(ir.Window(2, 0), n, 16, 32, square(7), square(1))
		add(ir.Window(2, 3), n, 3, 16, square(16), square(7))
		add(ir.Window(1, 1), n, 3, 16, [2]int{16, 12}, square(3))
		add(ir.Window(1, 1), n, 17, 16, square(1), square(3))
		add(ir.Window(4, 2), n, 3, 4, square(11), square(3))
		// The shapes that most forms are made for.
		for _, size := range [][2]int{{2, 2}, {2, 1}, {1, 2}, {7, 9}, {9, 7}, {16, 12}, {1, 5}, {32, 32}} {
			for _, c := range [][2]int{{1, 1}, {3, 16}, {17, 2}, {16, 16}} {
				for _, stride := range []int{1, 2} {
					add(ir.Window(stride, 1), n, c[0], c[1], size, square(3))
					add(ir.Window(stride, 0), n, c[0], c[1], size, square(1))
				}
			}
		}
	}
	// Channels and batches in the multiples that blocked layouts want.
	for _, n := range []int{1, 16, 32} {
		for _, c := range [][2]int{{1, 16}, {3, 16}, {16, 16}, {16, 32}, {32, 16}, {24, 48}} {
			for _, size := range [][2]int{{8, 8}, {7, 9}, {4, 6}, {1, 1}} {
				for _, k := range []int{1, 3, 5} {
					if n*c[0]*c[1]*size[0]*size[1]*k*k > 1<<22 {
						continue
					}
					for _, stride := range []int{1, 2} {
						add(ir.Window(stride, k/2), n, c[0], c[1], size, square(k))
					}
				}
			}
		}
		add(ir.ConvAttr{Stride: [2]int{1, 2}, Pad: [4]int{0, 2, 1, 1}, Dilation: [2]int{1, 1}, Groups: 1}, n, 16, 16, [2]int{6, 7}, [2]int{3, 2})
		add(ir.ConvAttr{Stride: [2]int{1, 1}, Pad: [4]int{2, 1, 2, 1}, Dilation: [2]int{2, 1}, Groups: 1}, n, 16, 32, [2]int{6, 7}, square(3))
		add(ir.ConvAttr{Stride: [2]int{1, 1}, Pad: [4]int{1, 1, 1, 1}, Dilation: [2]int{1, 1}, Groups: 2}, n, 32, 32, [2]int{6, 7}, square(3))
	}
	// Batches that divide into many parts.
	for _, stride := range []int{1, 2} {
		add(ir.Window(stride, 1), 64, 3, 4, square(5), square(3))
		add(ir.Window(stride, 0), 64, 4, 3, square(4), square(1))
	}
	return cases
}

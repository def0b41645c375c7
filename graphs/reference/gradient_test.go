package reference

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
)

// normal fills a tensor from N(0, 1).
func normal(r *rand.Rand, s ir.Shape) Tensor {
	t := Zeros(s)
	for i := range t.Data {
		t.Data[i] = r.NormFloat64()
	}
	return t
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func apply(t *testing.T, op ir.Op, in ...Tensor) []Tensor {
	t.Helper()
	out, err := Apply(op, in...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func dot(a, b Tensor) float64 {
	s := 0.0
	for i, x := range a.Data {
		s += x * b.Data[i]
	}
	return s
}

// tolerance of a backward primitive against central differences in float64.
const tolerance = 1e-6

// checkGradients compares got[i], for every i it is given for, with the
// central difference of ⟨forward's first output, dy⟩ with respect to in[i].
func checkGradients(t *testing.T, forward ir.Op, in []Tensor, dy Tensor, got map[int]Tensor) {
	t.Helper()
	for i, g := range got {
		want := Difference(func(Tensor) float64 { return dot(apply(t, forward, in...)[0], dy) }, in[i], 1e-5)
		if d := Distance(g, want); d > tolerance {
			t.Errorf("gradient of input %d is %.2g away from the central difference", i, d)
		}
	}
}

type convCase struct {
	attr         ir.ConvAttr
	n, c, o      int
	size, kernel [2]int
}

func (c convCase) String() string {
	return fmt.Sprintf("n%d_c%d_o%d_%dx%d_k%dx%d_s%v_p%v_d%v_g%d",
		c.n, c.c, c.o, c.size[0], c.size[1], c.kernel[0], c.kernel[1], c.attr.Stride, c.attr.Pad, c.attr.Dilation, c.attr.Groups)
}

// convCases crosses kernels, strides, paddings, dilations and groups over odd
// and even sizes, leaving out what does not fit.
func convCases() []convCase {
	var cases []convCase
	for _, kernel := range [][2]int{{1, 1}, {2, 2}, {3, 3}, {3, 1}, {2, 5}} {
		for _, stride := range [][2]int{{1, 1}, {2, 2}, {3, 3}, {1, 2}} {
			for _, pad := range [][4]int{{0, 0, 0, 0}, {1, 1, 1, 1}, {0, 1, 2, 0}, {3, 2, 1, 0}} {
				for _, dilation := range [][2]int{{1, 1}, {2, 2}, {1, 3}} {
					for _, groups := range []int{1, 2} {
						for _, size := range [][2]int{{5, 4}, {1, 1}, {6, 7}} {
							c := convCase{ir.ConvAttr{Stride: stride, Pad: pad, Dilation: dilation, Groups: groups},
								1 + len(cases)%2, 2, 2 * (1 + len(cases)%2), size, kernel}
							if _, err := c.attr.OutSize(size, kernel); err == nil {
								cases = append(cases, c)
							}
						}
					}
				}
			}
		}
	}
	return cases
}

// tensors draws x, w and dy for the case.
func (c convCase) tensors(t *testing.T, r *rand.Rand) (x, w, dy Tensor) {
	t.Helper()
	x = normal(r, ir.Shape{c.n, c.c, c.size[0], c.size[1]})
	w = normal(r, ir.Shape{c.o, c.c / c.attr.Groups, c.kernel[0], c.kernel[1]})
	out, err := c.attr.OutSize(c.size, c.kernel)
	if err != nil {
		t.Fatal(err)
	}
	return x, w, normal(r, ir.Shape{c.n, c.o, out[0], out[1]})
}

func (c convCase) gradients(t *testing.T, x, w, dy Tensor) (dx, dw Tensor) {
	t.Helper()
	dx = apply(t, ir.ConvGradInput{ConvAttr: c.attr, Input: c.size}, dy, w)[0]
	dw = apply(t, ir.ConvGradWeight{ConvAttr: c.attr, Kernel: c.kernel}, dy, x)[0]
	return dx, dw
}

func TestConvGradients(t *testing.T) {
	cases := convCases()
	if len(cases) < 300 {
		t.Fatalf("only %d cases", len(cases))
	}
	for i, c := range cases {
		// Every case is checked by its adjoints below; differences of each
		// element of a third of them keep this fast.
		if i%3 != 0 {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			x, w, dy := c.tensors(t, seeded(uint64(i)))
			dx, dw := c.gradients(t, x, w, dy)
			checkGradients(t, ir.Conv{ConvAttr: c.attr}, []Tensor{x, w}, dy, map[int]Tensor{0: dx, 1: dw})
		})
	}
}

// TestConvAdjoints: a convolution is linear in x and in w, so that
// ⟨conv(x, w), dy⟩ = ⟨x, dx⟩ = ⟨w, dw⟩ exactly.
func TestConvAdjoints(t *testing.T) {
	for i, c := range convCases() {
		x, w, dy := c.tensors(t, seeded(uint64(i)))
		dx, dw := c.gradients(t, x, w, dy)
		want := dot(apply(t, ir.Conv{ConvAttr: c.attr}, x, w)[0], dy)
		scale := math.Abs(want) + math.Sqrt(dot(dy, dy))
		if d := math.Abs(dot(x, dx)-want) / scale; d > 1e-12 {
			t.Errorf("%v: ⟨x, dx⟩ is %.2g away", c, d)
		}
		if d := math.Abs(dot(w, dw)-want) / scale; d > 1e-12 {
			t.Errorf("%v: ⟨w, dw⟩ is %.2g away", c, d)
		}
	}
}

func TestBatchNormGradients(t *testing.T) {
	for i, s := range []ir.Shape{{2, 3, 4, 5}, {1, 2, 3, 3}, {1, 1, 1, 2}, {5, 1, 1, 1}, {3, 4, 7, 1}} {
		for _, eps := range []float32{1e-5, 0.5} {
			t.Run(fmt.Sprintf("%v_eps%g", s, eps), func(t *testing.T) {
				r := seeded(uint64(i))
				x, scale, shift := normal(r, s), normal(r, s[1:2]), normal(r, s[1:2])
				for j := range x.Data {
					x.Data[j] = 2*x.Data[j] + 3
				}
				in := []Tensor{x, scale, shift}
				forward := ir.BatchNormTrain{Eps: eps}
				out := apply(t, forward, in...)
				dy := normal(r, s)
				got := apply(t, ir.BatchNormGrad{Eps: eps}, dy, x, scale, out[1], out[2])
				if s.Size() == 2 {
					// Two elements normalise to ±1 whatever they are: dx is a
					// rounding error around zero when eps is small.
					if eps < 1e-3 {
						for _, d := range got[0].Data {
							if math.Abs(d) > 1e-4 {
								t.Errorf("dx of a pair is %g, want about 0", d)
							}
						}
						return
					}
				}
				checkGradients(t, forward, in, dy, map[int]Tensor{0: got[0], 1: got[1], 2: got[2]})
			})
		}
	}
}

// TestBatchNormSingleElement: one element per channel has no variance; y is β
// and the gradients but that of β vanish. Nothing may become NaN.
func TestBatchNormSingleElement(t *testing.T) {
	r := seeded(1)
	s := ir.Shape{1, 3, 1, 1}
	x, scale, shift, dy := normal(r, s), normal(r, s[1:2]), normal(r, s[1:2]), normal(r, s)
	out := apply(t, ir.BatchNormTrain{Eps: 1e-5}, x, scale, shift)
	got := apply(t, ir.BatchNormGrad{Eps: 1e-5}, dy, x, scale, out[1], out[2])
	zero := Zeros(s)
	for i, want := range []Tensor{zero, zero, dy} {
		if Distance(got[i], want) > 1e-12 {
			t.Errorf("output %d is %v, want %v", i, got[i].Data, want.Data)
		}
	}
	if Distance(out[0], shift) > 1e-12 {
		t.Errorf("y is %v, want β %v", out[0].Data, shift.Data)
	}
}

func TestReluGradients(t *testing.T) {
	r := seeded(1)
	for _, s := range []ir.Shape{{2, 3, 5, 4}, {7}, {1, 1, 1, 1}, nil} {
		x, dy := normal(r, s), normal(r, s)
		y := apply(t, ir.Unary{F: ir.Relu}, x)[0]
		got := apply(t, ir.ReluGrad{}, dy, y)[0]
		checkGradients(t, ir.Unary{F: ir.Relu}, []Tensor{x}, dy, map[int]Tensor{0: got})
	}
}

// TestSoftmaxCrossEntropyGradients covers targets whose rows sum to one, to
// something else, and to zero.
func TestSoftmaxCrossEntropyGradients(t *testing.T) {
	for i, s := range []ir.Shape{{4, 5}, {1, 2}, {3, 1}, {1, 17}} {
		r := seeded(uint64(i))
		z, targets := normal(r, s), normal(r, s)
		for j := range targets.Data {
			z.Data[j] *= 5
			if targets.Data[j] = math.Abs(targets.Data[j]); j < s[1] {
				targets.Data[j] = 0
			}
		}
		if s[0] == 1 {
			targets.Data[0] = 1
		}
		g := Scalar(-1.7)
		logp := apply(t, ir.SoftmaxCrossEntropy{}, z, targets)[1]
		dz := apply(t, ir.SoftmaxCrossEntropyGrad{}, g, logp, targets)[0]
		checkGradients(t, ir.SoftmaxCrossEntropy{}, []Tensor{z, targets}, g, map[int]Tensor{0: dz})
	}
}

func TestSliceGradients(t *testing.T) {
	r := seeded(1)
	for _, tt := range []struct {
		in ir.Shape
		op ir.Slice
	}{
		{ir.Shape{7}, ir.Slice{Start: [4]int{1}, Step: [4]int{3}, Size: [4]int{2}}},
		{ir.Shape{2, 3, 7, 9}, ir.Subsample(ir.Shape{2, 3, 7, 9}, 2)},
		{ir.Shape{1, 2, 8, 5}, ir.Subsample(ir.Shape{1, 2, 8, 5}, 3)},
		{ir.Shape{3, 4, 2}, ir.Slice{Start: [4]int{1, 2, 0}, Step: [4]int{1, 1, 5}, Size: [4]int{2, 2, 1}}},
	} {
		x := normal(r, tt.in)
		dy := normal(r, apply(t, tt.op, x)[0].Shape)
		grad := ir.SliceGrad{Slice: tt.op}
		copy(grad.Input[:], tt.in)
		checkGradients(t, tt.op, []Tensor{x}, dy, map[int]Tensor{0: apply(t, grad, dy)[0]})
	}
}

func TestGatherGradients(t *testing.T) {
	r := seeded(1)
	for _, tt := range []struct {
		in ir.Shape
		op ir.Gather
	}{
		{ir.Shape{5}, ir.Gather{Index: []int{4, 4, 0, 1}}},
		{ir.Shape{3, 4, 2}, ir.Gather{Axis: 1, Index: []int{3, 2, 1, 0, 0, 0}}},
	} {
		x := normal(r, tt.in)
		dy := normal(r, apply(t, tt.op, x)[0].Shape)
		grad := ir.GatherGrad{Gather: tt.op, Size: tt.in[tt.op.Axis]}
		checkGradients(t, tt.op, []Tensor{x}, dy, map[int]Tensor{0: apply(t, grad, dy)[0]})
	}
}

func TestGlobalAvgPoolGradients(t *testing.T) {
	r := seeded(1)
	for _, s := range []ir.Shape{{2, 3, 4, 5}, {1, 1, 1, 1}, {1, 17, 7, 1}} {
		x, dy := normal(r, s), normal(r, s[:2])
		got := apply(t, ir.GlobalAvgPoolGrad{Input: [2]int{s[2], s[3]}}, dy)[0]
		checkGradients(t, ir.GlobalAvgPool{}, []Tensor{x}, dy, map[int]Tensor{0: got})
	}
}

package reference

import (
	"math"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
)

func tensor(s ir.Shape, data ...float64) Tensor { return Tensor{s, data} }

func vector(data ...float64) Tensor { return Tensor{ir.Shape{len(data)}, data} }

// TestKnownAnswers holds results worked out by hand, or by the named program.
func TestKnownAnswers(t *testing.T) {
	ramp := func(s ir.Shape) Tensor {
		x := Zeros(s)
		for i := range x.Data {
			x.Data[i] = float64(i + 1)
		}
		return x
	}
	ln2 := math.Log(2)
	tests := []struct {
		name string
		op   ir.Op
		in   []Tensor
		want []Tensor
	}{
		{"conv 2×2 of ones sums windows", ir.Conv{ConvAttr: ir.Window(1, 0)},
			[]Tensor{ramp(ir.Shape{1, 1, 3, 3}), tensor(ir.Shape{1, 1, 2, 2}, 1, 1, 1, 1)},
			[]Tensor{tensor(ir.Shape{1, 1, 2, 2}, 12, 16, 24, 28)}},
		{"conv is not flipped", ir.Conv{ConvAttr: ir.Window(1, 1)},
			[]Tensor{tensor(ir.Shape{1, 1, 1, 3}, 1, 2, 3), tensor(ir.Shape{1, 1, 3, 3}, 0, 0, 0, 100, 10, 1, 0, 0, 0)},
			[]Tensor{tensor(ir.Shape{1, 1, 1, 3}, 12, 123, 230)}},
		{"conv with stride, one-sided padding and dilation",
			ir.Conv{ConvAttr: ir.ConvAttr{Stride: [2]int{1, 2}, Pad: [4]int{0, 1, 0, 2}, Dilation: [2]int{1, 3}, Groups: 1}},
			// Columns 0 1 2 3 4 5 0 0 from the left pad on; windows start at 0, 2, 4.
			[]Tensor{tensor(ir.Shape{1, 1, 1, 5}, 1, 2, 3, 4, 5), tensor(ir.Shape{1, 1, 1, 2}, 1, 10)},
			[]Tensor{tensor(ir.Shape{1, 1, 1, 3}, 30, 52, 4)}},
		{"conv in two groups", ir.Conv{ConvAttr: ir.ConvAttr{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: 2}},
			[]Tensor{tensor(ir.Shape{1, 4, 1, 1}, 1, 2, 3, 4), tensor(ir.Shape{2, 2, 1, 1}, 1, 10, 100, 1000)},
			[]Tensor{tensor(ir.Shape{1, 2, 1, 1}, 21, 4300)}},
		{"conv grad input spreads dy through the taps", ir.ConvGradInput{ConvAttr: ir.Window(2, 0), Input: [2]int{1, 5}},
			[]Tensor{tensor(ir.Shape{1, 1, 1, 2}, 1, 2), tensor(ir.Shape{1, 1, 1, 3}, 1, 10, 100)},
			[]Tensor{tensor(ir.Shape{1, 1, 1, 5}, 1, 10, 102, 20, 200)}},
		{"conv grad weight", ir.ConvGradWeight{ConvAttr: ir.Window(2, 0), Kernel: [2]int{1, 3}},
			[]Tensor{tensor(ir.Shape{1, 1, 1, 2}, 1, 10), tensor(ir.Shape{1, 1, 1, 5}, 1, 2, 3, 4, 5)},
			[]Tensor{tensor(ir.Shape{1, 1, 1, 3}, 31, 42, 53)}},
		{"batch norm of ±1", ir.BatchNormTrain{Eps: 0},
			[]Tensor{tensor(ir.Shape{2, 1, 1, 2}, 3, 5, 5, 3), vector(2), vector(7)},
			[]Tensor{tensor(ir.Shape{2, 1, 1, 2}, 5, 9, 9, 5), vector(4), vector(1)}},
		{"batch norm with fixed statistics", ir.BatchNormInfer{Eps: 0.25},
			[]Tensor{tensor(ir.Shape{1, 2, 1, 1}, 3, 4), vector(2, 1), vector(0, 1), vector(1, 4), vector(0.75, 2)},
			[]Tensor{tensor(ir.Shape{1, 2, 1, 1}, 4, 1)}},
		// Moving one of two elements of a batch does not change the normalised
		// pair ±1, so dx vanishes as eps does.
		{"batch norm grad of a pair", ir.BatchNormGrad{Eps: 0},
			[]Tensor{tensor(ir.Shape{2, 1, 1, 1}, 4, 10), tensor(ir.Shape{2, 1, 1, 1}, 3, 5), vector(1), vector(4), vector(1)},
			[]Tensor{tensor(ir.Shape{2, 1, 1, 1}, 0, 0), vector(6), vector(14)}},
		{"relu", ir.Unary{F: ir.Relu}, []Tensor{vector(-1, 0, 2)}, []Tensor{vector(0, 0, 2)}},
		{"sign", ir.Unary{F: ir.Sign}, []Tensor{vector(-3, 0, 2)}, []Tensor{vector(-1, 0, 1)}},
		{"relu grad is zero at zero", ir.ReluGrad{}, []Tensor{vector(5, 6, 7), vector(0, 1, 2)}, []Tensor{vector(0, 6, 7)}},
		{"row minus column", ir.Binary{F: ir.Sub},
			[]Tensor{vector(1, 2, 3), tensor(ir.Shape{2, 1}, 10, 20)},
			[]Tensor{tensor(ir.Shape{2, 3}, -9, -8, -7, -19, -18, -17)}},
		{"division by a scalar", ir.Binary{F: ir.Div}, []Tensor{vector(1, 2), Scalar(4)}, []Tensor{vector(0.25, 0.5)}},
		{"matmul", ir.MatMul{}, []Tensor{ramp(ir.Shape{2, 3}), ramp(ir.Shape{3, 1})}, []Tensor{tensor(ir.Shape{2, 1}, 14, 32)}},
		{"matmul, both transposed", ir.MatMul{TransA: true, TransB: true},
			[]Tensor{ramp(ir.Shape{2, 1}), ramp(ir.Shape{3, 2})}, []Tensor{tensor(ir.Shape{1, 3}, 5, 11, 17)}},
		{"sum over rows", ir.Sum{Axes: ir.Axes(0)}, []Tensor{ramp(ir.Shape{2, 3})}, []Tensor{vector(5, 7, 9)}},
		{"sum over columns, kept", ir.Sum{Axes: ir.Axes(1), Keep: true}, []Tensor{ramp(ir.Shape{2, 3})}, []Tensor{tensor(ir.Shape{2, 1}, 6, 15)}},
		{"sum of all", ir.Sum{Axes: ir.Axes(0, 1)}, []Tensor{ramp(ir.Shape{2, 3})}, []Tensor{Scalar(21)}},
		{"sum of squares", ir.SumSquares{}, []Tensor{tensor(ir.Shape{2, 2}, 1, -2, 3, 0)}, []Tensor{Scalar(14)}},
		{"the next while all is finite", ir.KeepFinite{}, []Tensor{Scalar(-3), vector(1, 2), vector(3, 4)}, []Tensor{vector(1, 2)}},
		{"the previous at an infinity", ir.KeepFinite{}, []Tensor{Scalar(math.Inf(-1)), vector(1, 2), vector(3, 4)}, []Tensor{vector(3, 4)}},
		{"the previous at no number", ir.KeepFinite{}, []Tensor{Scalar(math.NaN()), vector(1, math.NaN()), vector(3, 4)}, []Tensor{vector(3, 4)}},
		{"cross-entropy of a coin", ir.SoftmaxCrossEntropy{},
			[]Tensor{tensor(ir.Shape{2, 2}, 7, 7, 1000, 1000-math.Log(3)), tensor(ir.Shape{2, 2}, 0.5, 0.5, 0, 1)},
			[]Tensor{Scalar((ln2 + math.Log(4)) / 2), tensor(ir.Shape{2, 2}, -ln2, -ln2, math.Log(0.75), math.Log(0.25))}},
		{"softmax of a coin", ir.Softmax{},
			[]Tensor{tensor(ir.Shape{2, 2}, 7, 7, 1000, 1000-math.Log(3))}, []Tensor{tensor(ir.Shape{2, 2}, 0.5, 0.5, 0.75, 0.25)}},
		{"cross-entropy grad", ir.SoftmaxCrossEntropyGrad{},
			[]Tensor{Scalar(2), tensor(ir.Shape{2, 2}, -ln2, -ln2, math.Log(0.75), math.Log(0.25)), tensor(ir.Shape{2, 2}, 1, 0, 1, 1)},
			[]Tensor{tensor(ir.Shape{2, 2}, -0.5, 0.5, 0.5, -0.5)}},
		{"slice", ir.Slice{Start: [4]int{0, 1}, Step: [4]int{1, 2}, Size: [4]int{2, 2}},
			[]Tensor{ramp(ir.Shape{2, 4})}, []Tensor{tensor(ir.Shape{2, 2}, 2, 4, 6, 8)}},
		{"slice grad", ir.SliceGrad{Slice: ir.Slice{Start: [4]int{1}, Step: [4]int{2}, Size: [4]int{2}}, Input: [4]int{5}},
			[]Tensor{vector(8, 9)}, []Tensor{vector(0, 8, 0, 9, 0)}},
		{"gather", ir.Gather{Axis: 1, Index: []int{2, 0, 2, 2}},
			[]Tensor{ramp(ir.Shape{2, 3})}, []Tensor{tensor(ir.Shape{2, 4}, 3, 1, 3, 3, 6, 4, 6, 6)}},
		{"gather grad", ir.GatherGrad{Gather: ir.Gather{Index: []int{2, 0, 2, 2}}, Size: 4},
			[]Tensor{vector(1, 2, 4, 8)}, []Tensor{vector(2, 0, 13, 0)}},
		{"pad", ir.Pad{Before: [4]int{0, 1}, After: [4]int{1, 0}},
			[]Tensor{tensor(ir.Shape{1, 2}, 1, 2)}, []Tensor{tensor(ir.Shape{2, 3}, 0, 1, 2, 0, 0, 0)}},
		{"reshape", ir.ReshapeTo(ir.Shape{3, 2}), []Tensor{ramp(ir.Shape{2, 3})}, []Tensor{ramp(ir.Shape{3, 2})}},
		{"concat", ir.Concat{}, []Tensor{vector(1), vector(2, 3)}, []Tensor{vector(1, 2, 3)}},
		{"split", ir.Split{Parts: []ir.Shape{nil, {2, 1}}}, []Tensor{vector(1, 2, 3)}, []Tensor{Scalar(1), tensor(ir.Shape{2, 1}, 2, 3)}},
		{"runs", ir.Runs{Lengths: []int{2, 1}, Values: []float32{0.5, -3}}, nil, []Tensor{vector(0.5, 0.5, -3)}},
		{"pool", ir.GlobalAvgPool{}, []Tensor{ramp(ir.Shape{1, 2, 1, 3})}, []Tensor{tensor(ir.Shape{1, 2}, 2, 5)}},
		{"pool grad", ir.GlobalAvgPoolGrad{Input: [2]int{1, 2}}, []Tensor{tensor(ir.Shape{1, 2}, 2, 8)}, []Tensor{tensor(ir.Shape{1, 2, 1, 2}, 1, 1, 4, 4)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Apply(tt.op, tt.in...)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range tt.want {
				if !got[i].Shape.Equal(want.Shape) {
					t.Fatalf("output %d is %v, want %v", i, got[i].Shape, want.Shape)
				}
				if d := Distance(got[i], want); d > 1e-12 {
					t.Errorf("output %d is %v, want %v", i, got[i].Data, want.Data)
				}
			}
		})
	}
}

func TestRun(t *testing.T) {
	g := ir.New("line")
	x := g.Input("x", ir.F32(2))
	y := g.One("y", ir.Binary{F: ir.Add}, g.One("", ir.Binary{F: ir.Mul}, x, g.Scalar(3)), g.Scalar(1))
	g.Output("twice", y)
	g.Output("again", y)
	g.Output("input", x)
	got, err := Run(g, map[string]Tensor{"x": vector(1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Tensor{"twice": vector(4, 7), "again": vector(4, 7), "input": vector(1, 2)} {
		if Distance(got[name], want) != 0 {
			t.Errorf("%s is %v, want %v", name, got[name].Data, want.Data)
		}
	}

	for name, tt := range map[string]struct {
		inputs map[string]Tensor
		want   string
	}{
		"missing":     {nil, `input "x" is missing`},
		"wrong shape": {map[string]Tensor{"x": vector(1)}, `input "x" is 1 with 1 elements, want 2`},
		"unknown":     {map[string]Tensor{"x": vector(1, 2), "z": vector(1)}, `no input "z"`},
	} {
		if _, err := Run(g, tt.inputs); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q in it", name, err, tt.want)
		}
	}
}

type unknownOp struct{ ir.ReluGrad }

func (unknownOp) Kind() string { return "Frobnicate" }

func TestUnknownOperatorIsNamed(t *testing.T) {
	g := ir.New("g")
	x := g.Input("x", ir.F32(2))
	g.Output("y", g.One("odd", unknownOp{}, x, x))
	_, err := Run(g, map[string]Tensor{"x": vector(1, 2)})
	if err == nil || !strings.Contains(err.Error(), `"odd"`) || !strings.Contains(err.Error(), "Frobnicate") {
		t.Fatalf("error %v does not name the node and the operator", err)
	}
	if _, err := Apply(ir.MatMul{}, vector(1), vector(1)); err == nil || !strings.Contains(err.Error(), "MatMul") {
		t.Fatalf("error %v does not name the operator", err)
	}
}

func TestDistance(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, tt := range []struct {
		got, want []float64
		d         float64
	}{
		{[]float64{1, 2}, []float64{1, 2}, 0},
		{[]float64{1, 2}, []float64{1, 4}, 0.5},
		{[]float64{0.5, 0}, []float64{0, 0}, 0.5},
		{[]float64{nan}, []float64{1}, inf},
		{[]float64{1}, []float64{nan}, inf},
		{[]float64{nan}, []float64{nan}, inf},
		{[]float64{inf, 1}, []float64{inf, 1}, 0},
		{[]float64{-inf}, []float64{inf}, inf},
		{[]float64{1}, []float64{inf}, inf},
	} {
		if d := Distance(vector(tt.got...), vector(tt.want...)); d != tt.d {
			t.Errorf("Distance(%v, %v) = %g, want %g", tt.got, tt.want, d, tt.d)
		}
	}
}

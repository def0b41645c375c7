package ir

import (
	"strings"
	"testing"
)

func types(shapes ...Shape) []Type {
	ts := make([]Type, len(shapes))
	for i, s := range shapes {
		ts[i] = Type{Float32, s}
	}
	return ts
}

// full is a slice operator of unit steps.
func full(start, size [MaxRank]int) Slice {
	return Slice{Start: start, Step: [MaxRank]int{1, 1, 1, 1}, Size: size}
}

func TestInfer(t *testing.T) {
	asym := ConvAttr{Stride: [2]int{2, 1}, Pad: [4]int{0, 1, 2, 3}, Dilation: [2]int{1, 2}, Groups: 2}
	for _, tt := range []struct {
		name string
		op   Op
		in   []Type
		want []Shape
	}{
		{"conv keeps the size", Conv{Window(1, 1)}, types(Shape{2, 3, 32, 32}, Shape{16, 3, 3, 3}), []Shape{{2, 16, 32, 32}}},
		{"conv halves an even size", Conv{Window(2, 1)}, types(Shape{2, 3, 32, 32}, Shape{16, 3, 3, 3}), []Shape{{2, 16, 16, 16}}},
		{"conv rounds an odd size up", Conv{Window(2, 1)}, types(Shape{2, 3, 7, 9}, Shape{16, 3, 3, 3}), []Shape{{2, 16, 4, 5}}},
		{"the ImageNet stem", Conv{Window(2, 3)}, types(Shape{1, 3, 224, 224}, Shape{64, 3, 7, 7}), []Shape{{1, 64, 112, 112}}},
		{"conv on one pixel", Conv{Window(1, 1)}, types(Shape{1, 1, 1, 1}, Shape{1, 1, 3, 3}), []Shape{{1, 1, 1, 1}}},
		// Rows: (5+0+2−2)/2+1 = 3; columns: (6+1+3−5)/1+1 = 6.
		{"conv, nothing symmetric", Conv{asym}, types(Shape{1, 4, 5, 6}, Shape{6, 2, 2, 3}), []Shape{{1, 6, 3, 6}}},
		{"depthwise conv", Conv{ConvAttr{[2]int{1, 1}, [4]int{}, [2]int{1, 1}, 8}}, types(Shape{1, 8, 4, 4}, Shape{8, 1, 3, 3}), []Shape{{1, 8, 2, 2}}},
		{"conv grad input", ConvGradInput{asym, [2]int{5, 6}}, types(Shape{1, 6, 3, 6}, Shape{6, 2, 2, 3}), []Shape{{1, 4, 5, 6}}},
		{"conv grad input, the other size of one output", ConvGradInput{Window(2, 1), [2]int{8, 7}}, types(Shape{1, 6, 4, 4}, Shape{6, 2, 3, 3}), []Shape{{1, 2, 8, 7}}},
		{"conv grad weight", ConvGradWeight{asym, [2]int{2, 3}}, types(Shape{1, 6, 3, 6}, Shape{1, 4, 5, 6}), []Shape{{6, 2, 2, 3}}},
		{"batch norm", BatchNormTrain{}, types(Shape{2, 3, 4, 5}, Shape{3}, Shape{3}), []Shape{{2, 3, 4, 5}, {3}, {3}}},
		{"batch norm infer", BatchNormInfer{}, types(Shape{2, 3, 4, 5}, Shape{3}, Shape{3}, Shape{3}, Shape{3}), []Shape{{2, 3, 4, 5}}},
		{"batch norm grad", BatchNormGrad{}, types(Shape{2, 3, 4, 5}, Shape{2, 3, 4, 5}, Shape{3}, Shape{3}, Shape{3}), []Shape{{2, 3, 4, 5}, {3}, {3}}},
		{"relu", Unary{Relu}, types(Shape{2, 3}), []Shape{{2, 3}}},
		{"relu grad", ReluGrad{}, types(Shape{2, 3}, Shape{2, 3}), []Shape{{2, 3}}},
		{"matmul", MatMul{}, types(Shape{2, 3}, Shape{3, 4}), []Shape{{2, 4}}},
		{"matmul, first transposed", MatMul{TransA: true}, types(Shape{3, 2}, Shape{3, 4}), []Shape{{2, 4}}},
		{"matmul, second transposed", MatMul{TransB: true}, types(Shape{2, 3}, Shape{4, 3}), []Shape{{2, 4}}},
		{"sum", Sum{Axes: Axes(0, 2)}, types(Shape{2, 3, 4}), []Shape{{3}}},
		{"sum, kept", Sum{Axes: Axes(0, 2), Keep: true}, types(Shape{2, 3, 4}), []Shape{{1, 3, 1}}},
		{"sum of all", Sum{Axes: Axes(0, 1)}, types(Shape{2, 3}), []Shape{nil}},
		{"cross-entropy", SoftmaxCrossEntropy{}, types(Shape{5, 10}, Shape{5, 10}), []Shape{nil, {5, 10}}},
		{"cross-entropy grad", SoftmaxCrossEntropyGrad{}, types(nil, Shape{5, 10}, Shape{5, 10}), []Shape{{5, 10}}},
		{"reshape", ReshapeTo(Shape{6, 4}), types(Shape{2, 3, 4}), []Shape{{6, 4}}},
		{"reshape to a scalar", ReshapeTo(nil), types(Shape{1, 1}), []Shape{nil}},
		{"slice", Slice{Start: [MaxRank]int{0, 1}, Step: [MaxRank]int{1, 3}, Size: [MaxRank]int{2, 2}}, types(Shape{2, 5}), []Shape{{2, 2}}},
		{"slice of a scalar", Slice{}, types(nil), []Shape{nil}},
		{"subsample of an odd size", Subsample(Shape{2, 3, 7, 8}, 2), types(Shape{2, 3, 7, 8}), []Shape{{2, 3, 4, 4}}},
		{"slice grad", SliceGrad{full([MaxRank]int{1}, [MaxRank]int{2}), [MaxRank]int{5}}, types(Shape{2}), []Shape{{5}}},
		{"transpose", Permute(2, 0, 1), types(Shape{2, 3, 4}), []Shape{{4, 2, 3}}},
		{"expand", ExpandTo(Shape{2, 3, 4}), types(Shape{3, 1}), []Shape{{2, 3, 4}}},
		{"stack of products", BatchMatMul{TransB: true}, types(Shape{2, 1, 5, 3}, Shape{7, 4, 3}), []Shape{{2, 7, 5, 4}}},
		{"layer norm", LayerNorm{}, types(Shape{2, 5, 3}, Shape{3}, Shape{3}), []Shape{{2, 5, 3}, {2, 5, 1}, {2, 5, 1}}},
		{"pad", Pad{[MaxRank]int{0, 8}, [MaxRank]int{1, 8}}, types(Shape{2, 16, 4, 4}), []Shape{{3, 32, 4, 4}}},
		{"concat", Concat{}, types(Shape{2}, Shape{3}), []Shape{{5}}},
		{"concat of channels", Concat{1}, types(Shape{2, 3, 4, 5}, Shape{2, 16, 4, 5}), []Shape{{2, 19, 4, 5}}},
		{"range of channels", Range(Shape{2, 8, 4, 5}, 1, 3, 2), types(Shape{2, 8, 4, 5}), []Shape{{2, 2, 4, 5}}},
		{"conv with bias", Conv{Window(1, 1)}, types(Shape{2, 3, 4, 4}, Shape{16, 3, 3, 3}, Shape{16}), []Shape{{2, 16, 4, 4}}},
		{"swish grad", UnaryGrad{SiluGrad}, types(Shape{2, 3}, Shape{2, 3}, Shape{2, 3}), []Shape{{2, 3}}},
		{"clip", Clip{0, 6}, types(Shape{2, 3}), []Shape{{2, 3}}},
		{"shake", Shake{}, types(Shape{2, 3, 4, 4}, Shape{2, 1, 1, 1}, Shape{2, 1, 1, 1}), []Shape{{2, 3, 4, 4}}},
		{"split", Split{[]Shape{{2, 3}, nil, {4}}}, types(Shape{11}), []Shape{{2, 3}, nil, {4}}},
		{"runs", Runs{[]int{2, 3}, []float32{0, 1}}, nil, []Shape{{5}}},
		{"pool", GlobalAvgPool{}, types(Shape{2, 3, 4, 5}), []Shape{{2, 3}}},
		{"pool grad", GlobalAvgPoolGrad{[2]int{4, 5}}, types(Shape{2, 3}), []Shape{{2, 3, 4, 5}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.op.Infer(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("%d outputs, want %d", len(got), len(tt.want))
			}
			for i, want := range tt.want {
				if got[i].DType != Float32 || !got[i].Shape.Equal(want) {
					t.Errorf("output %d is %v, want float32 %v", i, got[i], want)
				}
			}
		})
	}
}

// TestInferRejects: every operator says in words what does not fit.
func TestInferRejects(t *testing.T) {
	bad := func(change func(*ConvAttr)) ConvAttr {
		a := Window(1, 1)
		change(&a)
		return a
	}
	x, w, c := Shape{2, 3, 8, 8}, Shape{4, 3, 3, 3}, Shape{3}
	for _, tt := range []struct {
		name string
		op   Op
		in   []Type
		want string
	}{
		{"conv of one input", Conv{Window(1, 1)}, types(x), "takes 2 inputs, have 1"},
		{"conv of a matrix", Conv{Window(1, 1)}, types(Shape{2, 3}, w), "rank 4"},
		{"conv of other channels", Conv{Window(1, 1)}, types(Shape{2, 5, 8, 8}, w), "does not fit weights 4×3×3×3"},
		{"conv of a large kernel", Conv{Window(1, 0)}, types(Shape{1, 3, 2, 8}, w), "kernel extent 3 exceeds the padded input 2"},
		{"conv of a dilated kernel", Conv{bad(func(a *ConvAttr) { a.Dilation = [2]int{1, 5} })}, types(x, w), "kernel extent 11 exceeds the padded input 10"},
		{"conv without a stride", Conv{ConvAttr{Dilation: [2]int{1, 1}, Groups: 1}}, types(x, w), "must be positive"},
		{"conv of negative padding", Conv{bad(func(a *ConvAttr) { a.Pad[2] = -1 })}, types(x, w), "must not be negative"},
		{"conv without groups", Conv{bad(func(a *ConvAttr) { a.Groups = 0 })}, types(x, w), "groups 0"},
		{"conv of odd groups", Conv{bad(func(a *ConvAttr) { a.Groups = 3 })}, types(x, Shape{4, 1, 3, 3}), "3 groups"},
		{"conv of integers", Conv{Window(1, 1)}, []Type{{Uint8, x}, {Float32, w}}, "input 0 is uint8"},
		{"conv grad input of another size", ConvGradInput{Window(1, 1), [2]int{8, 9}}, types(Shape{2, 4, 8, 8}, w), "gradient is 2×4×8×8, want 2×4×8×9"},
		{"conv grad weight of another kernel", ConvGradWeight{Window(1, 1), [2]int{5, 5}}, types(Shape{2, 4, 8, 8}, x), "want 2×4×6×6"},
		{"conv grad weight of other batches", ConvGradWeight{Window(1, 1), [2]int{3, 3}}, types(Shape{1, 4, 8, 8}, x), "want 2×4×8×8"},
		{"batch norm of a matrix", BatchNormTrain{}, types(Shape{2, 3}, c, c), "rank 4"},
		{"batch norm of other channels", BatchNormTrain{}, types(x, Shape{4}, c), "per-channel input is 4, want 3"},
		{"batch norm infer, input missing", BatchNormInfer{}, types(x, c, c, c), "takes 5 inputs, have 4"},
		{"batch norm grad of another shape", BatchNormGrad{}, types(Shape{2, 3, 8, 7}, x, c, c, c), "gradient is 2×3×8×7, input 2×3×8×8"},
		{"relu of two", Unary{Relu}, types(x, x), "takes 1 inputs, have 2"},
		{"relu grad of another shape", ReluGrad{}, types(x, w), "gradient is 2×3×8×8"},
		{"sum that does not broadcast", Binary{Add}, types(Shape{2, 3}, Shape{2}), "do not broadcast"},
		{"matmul of a vector", MatMul{}, types(Shape{2}, Shape{2, 3}), "must be matrices"},
		{"matmul of other dimensions", MatMul{TransB: true}, types(Shape{2, 3}, Shape{3, 4}), "inner dimensions of 2×3 and 3×4 differ"},
		{"sum over nothing", Sum{}, types(x), "axes 0 do not fit"},
		{"sum over axis 4", Sum{Axes: Axes(4)}, types(x), "do not fit"},
		{"cross-entropy of other targets", SoftmaxCrossEntropy{}, types(Shape{2, 3}, Shape{2, 4}), "equal matrices"},
		{"cross-entropy grad of a vector", SoftmaxCrossEntropyGrad{}, types(Shape{1}, Shape{2, 3}, Shape{2, 3}), "have gradient 1"},
		{"reshape to another size", ReshapeTo(Shape{7}), types(Shape{2, 3}), "2×3 does not reshape to 7"},
		{"transpose by no permutation", Permute(0, 0), types(Shape{2, 3}), "no permutation"},
		{"expand to less", ExpandTo(Shape{2, 3}), types(Shape{4, 3}), "does not expand"},
		{"stack of products that do not fit", BatchMatMul{}, types(Shape{2, 5, 3}, Shape{2, 5, 3}), "inner dimensions"},
		{"stacks of other sizes", BatchMatMul{}, types(Shape{2, 5, 3}, Shape{3, 3, 5}), "do not broadcast"},
		{"layer norm of another width", LayerNorm{}, types(Shape{2, 5}, Shape{3}, Shape{3}), "must be 5"},
		{"slice past the end", full([MaxRank]int{1}, [MaxRank]int{3}), types(Shape{3}), "leave axis 0 of 3"},
		{"slice of no step", Slice{Size: [MaxRank]int{1}}, types(Shape{3}), "step 0"},
		{"slice of rank 5", full([MaxRank]int{}, [MaxRank]int{1, 1, 1, 1}), types(Shape{1, 1, 1, 1, 1}), "rank"},
		{"slice grad of another shape", SliceGrad{full([MaxRank]int{}, [MaxRank]int{2}), [MaxRank]int{5}}, types(Shape{3}), "gradient is 3"},
		{"slice grad past the end", SliceGrad{full([MaxRank]int{4}, [MaxRank]int{2}), [MaxRank]int{5}}, types(Shape{2}), "leave axis 0 of 5"},
		{"pad by less than nothing", Pad{Before: [MaxRank]int{-1}}, types(Shape{3}), "must not be negative"},
		{"pad of rank 5", Pad{}, types(Shape{1, 1, 1, 1, 1}), "rank"},
		{"concat of nothing", Concat{}, nil, "at least one"},
		{"concat of a vector and a matrix", Concat{}, types(Shape{1}, Shape{1, 1}), "1 and 1×1 differ in rank"},
		{"concat of other sizes", Concat{1}, types(x, Shape{2, 4, 8, 7}), "differ beside axis 1"},
		{"concat along no axis", Concat{4}, types(x, x), "no axis 4"},
		{"conv of another bias", Conv{Window(1, 1)}, types(x, w, Shape{3}), "bias 3 does not fit"},
		{"swish grad without the output", UnaryGrad{SiluGrad}, types(x, x), "takes 3 inputs, have 2"},
		{"sigmoid grad of another shape", UnaryGrad{SigmoidGrad}, types(x, c), "differ in shape"},
		{"clip between nothing", Clip{6, 0}, types(x), "lower bound 6 is not below 0"},
		{"shake by a map", Shake{}, types(Shape{2, 3}, Shape{2, 2, 3}, Shape{2, 2, 3}), "does not broadcast"},
		{"shake by two kinds of factors", Shake{}, types(x, Shape{2, 1, 1, 1}, Shape{1, 1, 1, 1}), "differ in shape"},
		{"split of another length", Split{[]Shape{{2}, {3}}}, types(Shape{6}), "6 does not split into 5"},
		{"runs of an input", Runs{[]int{1}, []float32{1}}, types(c), "takes 0 inputs, have 1"},
		{"runs without values", Runs{[]int{1}, nil}, nil, "1 lengths and 0 values"},
		{"runs of no length", Runs{[]int{0}, []float32{1}}, nil, "must be positive"},
		{"pool of a matrix", GlobalAvgPool{}, types(Shape{2, 3}), "rank 4"},
		{"pool grad of a map", GlobalAvgPoolGrad{[2]int{1, 1}}, types(x), "rank 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.op.Infer(tt.in)
			if err == nil {
				t.Fatalf("accepted as %v", got)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want %q in it", err, tt.want)
			}
		})
	}
}

func TestBroadcasted(t *testing.T) {
	for _, tt := range []struct{ a, b, want Shape }{
		{nil, nil, Shape{}},
		{nil, Shape{2, 3}, Shape{2, 3}},
		{Shape{3}, Shape{2, 3}, Shape{2, 3}},
		{Shape{2, 1}, Shape{1, 3}, Shape{2, 3}},
		{Shape{4, 1, 5}, Shape{3, 1}, Shape{4, 3, 5}},
		{Shape{2, 3, 4, 5}, Shape{3, 1, 1}, Shape{2, 3, 4, 5}},
		{Shape{1}, Shape{1, 1, 1}, Shape{1, 1, 1}},
		{Shape{2}, Shape{3}, nil},
		{Shape{2, 3}, Shape{2}, nil},
		{Shape{2, 2}, Shape{3, 2}, nil},
	} {
		for _, swap := range []bool{false, true} {
			a, b := tt.a, tt.b
			if swap {
				a, b = b, a
			}
			got, err := Broadcasted(a, b)
			if tt.want == nil {
				if err == nil {
					t.Errorf("%v with %v gave %v", a, b, got)
				}
				continue
			}
			if err != nil || !got.Equal(tt.want) {
				t.Errorf("%v with %v gave %v, %v; want %v", a, b, got, err, tt.want)
			}
		}
	}
	// The result shares no memory with its arguments.
	a := Shape{1, 3}
	s, _ := Broadcasted(a, Shape{2, 1})
	if s[0] = 7; a[0] != 1 {
		t.Error("Broadcasted changed its argument")
	}
}

func TestInit(t *testing.T) {
	for _, ok := range []Init{
		{}, {Kind: InitZeros}, {Kind: InitOnes}, {Kind: InitHeNormal, Fan: 9}, {Kind: InitHeUniform, Fan: 1},
		{Kind: InitXavierNormal, FanIn: 2, FanOut: 3}, {Kind: InitXavierUniform, FanIn: 2, FanOut: 3}, {Kind: InitUniform, Bound: 0.1},
	} {
		if err := ok.Validate(); err != nil {
			t.Errorf("%+v: %v", ok, err)
		}
	}
	for want, bad := range map[string]Init{
		`unknown init "normal"`:  {Kind: "normal"},
		"he_normal needs":        {Kind: InitHeNormal},
		"he_uniform needs":       {Kind: InitHeUniform, FanIn: 3},
		"xavier_normal needs":    {Kind: InitXavierNormal, FanIn: 3},
		"uniform needs a positi": {Kind: InitUniform},
	} {
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q in it", bad, err, want)
		}
	}
}

// TestEmptyResultsAreErrors: attributes that make an output vanish are an
// error of the node like any other.
func TestEmptyResultsAreErrors(t *testing.T) {
	g := New("g")
	m := g.Input("m", F32(2, 3))
	x := g.Input("x", F32(2, 3, 4, 4))
	w := g.Input("w", F32(5, 3, 1, 1))
	v := g.Input("v", F32(6))
	for _, tt := range []struct {
		op Op
		in []*Value
	}{
		{GlobalAvgPoolGrad{}, []*Value{m}},
		{Reshape{To: [ReshapeRank]int{-2, -3}}, []*Value{m}},
		{Split{[]Shape{{6}, {0}}}, []*Value{v}},
		{Split{[]Shape{{-2, -3}}}, []*Value{v}},
		{ConvGradWeight{ConvAttr: Window(1, 0)}, []*Value{g.Input("dy", F32(2, 5, 5, 5)), x}},
		{ConvGradInput{ConvAttr: Window(1, 1)}, []*Value{g.Input("dy2", F32(2, 5, 2, 2)), w}},
	} {
		nodes := len(g.Nodes)
		if _, err := g.TryApply("empty", tt.op, tt.in...); err == nil || !strings.Contains(err.Error(), `node "empty" (`+tt.op.Kind()+")") {
			t.Errorf("%s%+v: error %v", tt.op.Kind(), tt.op, err)
		}
		if len(g.Nodes) != nodes {
			t.Errorf("%s left a node behind", tt.op.Kind())
		}
	}
}

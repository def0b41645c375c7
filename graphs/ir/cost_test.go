package ir

import "testing"

// TestFLOPs: a convolution and both of its gradients cost the same, one
// multiply-add for each output element, input channel and tap; other operators
// count nothing.
func TestFLOPs(t *testing.T) {
	a := ConvAttr{Stride: [2]int{2, 2}, Pad: [4]int{1, 1, 1, 1}, Dilation: [2]int{1, 1}, Groups: 2}
	// 5 images, 6 output channels, 4×5 pixels, 2 input channels a group, 9 taps.
	const conv = 5 * 6 * 4 * 5 * 2 * 9
	for _, tt := range []struct {
		op   Op
		in   []Shape
		want int64
	}{
		{Conv{a}, []Shape{{5, 4, 7, 9}, {6, 2, 3, 3}}, conv},
		{ConvGradInput{a, [2]int{7, 9}}, []Shape{{5, 6, 4, 5}, {6, 2, 3, 3}}, conv},
		{ConvGradWeight{a, [2]int{3, 3}}, []Shape{{5, 6, 4, 5}, {5, 4, 7, 9}}, conv},
		{MatMul{}, []Shape{{2, 3}, {3, 5}}, 30},
		{MatMul{TransA: true, TransB: true}, []Shape{{3, 2}, {5, 3}}, 30},
		{Unary{Relu}, []Shape{{5, 4, 7, 9}}, 0},
	} {
		g := New("g")
		var in []*Value
		for _, s := range tt.in {
			in = append(in, g.Input(string(rune('a'+len(in))), Type{Float32, s}))
		}
		g.Apply("", tt.op, in...)
		if got := g.FLOPs(); got != tt.want {
			t.Errorf("%s%v costs %d, want %d", tt.op.Kind(), tt.in, got, tt.want)
		}
	}
}

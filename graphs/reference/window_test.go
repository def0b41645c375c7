package reference

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
)

func grid(h, w int, data ...float64) Tensor { return Tensor{ir.Shape{1, 1, h, w}, data} }

// TestMaxPoolKnown: windows of 3 with stride 2 and padding 1 over a 3×4 map, by
// hand, negative numbers and ties included.
func TestMaxPoolKnown(t *testing.T) {
	a := ir.Windows(3, 2, 1)
	x := grid(3, 4,
		-1, -2, -3, -4,
		-1, -5, -3, -2,
		-6, -7, -3, -9)
	y := apply(t, ir.MaxPool{PoolAttr: a}, x)[0]
	if want := []float64{-1, -2, -1, -2}; !slices.Equal(y.Data, want) {
		t.Errorf("y is %v, want %v", y.Data, want)
	}
	// The first window's −1 is met first in row 0, the second's −2 there too;
	// the third's −1 and the fourth's −2 lie in row 1.
	dx := apply(t, ir.MaxPoolGrad{PoolAttr: a}, grid(2, 2, 1, 10, 100, 1000), x, y)[0]
	want := []float64{
		1, 10, 0, 0,
		100, 0, 0, 1000,
		0, 0, 0, 0}
	if !slices.Equal(dx.Data, want) {
		t.Errorf("dx is %v, want %v", dx.Data, want)
	}
}

// TestAvgPoolKnown: PyTorch's default counts padding, timm's shortcuts do not.
func TestAvgPoolKnown(t *testing.T) {
	x := grid(3, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	hanging := ir.Windows(2, 2, 0)
	hanging.Pad[2], hanging.Pad[3] = 1, 1
	for _, tt := range []struct {
		op   ir.AvgPool
		want []float64
	}{
		{ir.AvgPool{PoolAttr: hanging}, []float64{3, 4.5, 7.5, 9}},
		{ir.AvgPool{PoolAttr: hanging, CountPad: true}, []float64{3, 2.25, 3.75, 2.25}},
		{ir.AvgPool{PoolAttr: ir.Windows(2, 2, 0)}, []float64{3}},
		{ir.AvgPool{PoolAttr: ir.Windows(3, 2, 1)}, []float64{3, 4, 6, 7}},
	} {
		if y := apply(t, tt.op, x)[0]; Distance(y, Tensor{y.Shape, tt.want}) > 1e-15 {
			t.Errorf("%+v gives %v, want %v", tt.op, y.Data, tt.want)
		}
	}
}

func TestPoolGradients(t *testing.T) {
	for i, a := range []ir.PoolAttr{
		ir.Windows(3, 2, 1), ir.Windows(2, 2, 0), ir.Windows(3, 1, 1), ir.Windows(2, 3, 0),
		{Kernel: [2]int{3, 2}, Stride: [2]int{1, 2}, Pad: [4]int{0, 1, 2, 0}},
		{Kernel: [2]int{2, 2}, Stride: [2]int{2, 2}, Pad: [4]int{0, 0, 1, 1}},
	} {
		for _, s := range []ir.Shape{{2, 3, 7, 9}, {1, 2, 4, 5}} {
			t.Run(fmt.Sprintf("%+v_%v", a, s), func(t *testing.T) {
				r := seeded(uint64(i))
				// Drawn numbers are farther apart than the difference's step.
				x := normal(r, s)
				y := apply(t, ir.MaxPool{PoolAttr: a}, x)[0]
				dy := normal(r, y.Shape)
				dx := apply(t, ir.MaxPoolGrad{PoolAttr: a}, dy, x, y)[0]
				checkGradients(t, ir.MaxPool{PoolAttr: a}, []Tensor{x}, dy, map[int]Tensor{0: dx})
				for _, countPad := range []bool{false, true} {
					op := ir.AvgPool{PoolAttr: a, CountPad: countPad}
					dx := apply(t, ir.AvgPoolGrad{AvgPool: op, Input: [2]int{s[2], s[3]}}, dy)[0]
					checkGradients(t, op, []Tensor{x}, dy, map[int]Tensor{0: dx})
				}
			})
		}
	}
}

package reference

import (
	"fmt"
	"math"
)

// Distance is the largest difference between elements of got and want,
// relative to the largest magnitude in want; absolute where want is all zeros.
// Relative to the tensor, not to each element: an element near zero is as
// uncertain as the large terms that cancel in it. A NaN or an infinity that is
// not matched gives +Inf. Both must have one number of elements.
func Distance(got, want Tensor) float64 {
	if len(got.Data) != len(want.Data) {
		panic(fmt.Sprintf("reference: distance of %v and %v", got.Shape, want.Shape))
	}
	var diff, scale float64
	for i, w := range want.Data {
		g := got.Data[i]
		if g == w {
			scale = math.Max(scale, math.Abs(w))
			continue
		}
		d := math.Abs(g - w)
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return math.Inf(1)
		}
		diff = math.Max(diff, d)
		scale = math.Max(scale, math.Abs(w))
	}
	if scale == 0 || math.IsInf(scale, 0) {
		return diff
	}
	return diff / scale
}

// Difference is the gradient of f at x by central differences: for every
// element (f(x+step) − f(x−step)) / (2·step). x is changed during the call and
// restored; f is called twice per element.
func Difference(f func(x Tensor) float64, x Tensor, step float64) Tensor {
	d := Zeros(x.Shape)
	for i, at := range x.Data {
		x.Data[i] = at + step
		up := f(x)
		x.Data[i] = at - step
		down := f(x)
		x.Data[i] = at
		// The step that was taken, not the one asked for: they differ by the
		// rounding of at ± step.
		d.Data[i] = (up - down) / ((at + step) - (at - step))
	}
	return d
}

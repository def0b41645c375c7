package reference

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

func init() {
	Register("MaxPool", func(op ir.Op, in, out []Tensor) {
		for i := range out[0].Data {
			out[0].Data[i] = math.Inf(-1)
		}
		eachWindow(op.(ir.MaxPool).PoolAttr, in[0], out[0], func(x, y int) {
			out[0].Data[y] = max(out[0].Data[y], in[0].Data[x])
		})
	})
	Register("MaxPoolGrad", func(op ir.Op, in, out []Tensor) {
		dy, x, y := in[0], in[1], in[2]
		given := make([]bool, len(dy.Data))
		eachWindow(op.(ir.MaxPoolGrad).PoolAttr, x, y, func(i, j int) {
			if !given[j] && x.Data[i] == y.Data[j] {
				given[j] = true
				out[0].Data[i] += dy.Data[j]
			}
		})
	})
	Register("AvgPool", func(op ir.Op, in, out []Tensor) {
		o := op.(ir.AvgPool)
		count := pixels(o, in[0], out[0])
		eachWindow(o.PoolAttr, in[0], out[0], func(x, y int) {
			out[0].Data[y] += in[0].Data[x] / count[y]
		})
	})
	Register("AvgPoolGrad", func(op ir.Op, in, out []Tensor) {
		o := op.(ir.AvgPoolGrad).AvgPool
		count := pixels(o, out[0], in[0])
		eachWindow(o.PoolAttr, out[0], in[0], func(x, y int) {
			out[0].Data[x] += in[0].Data[y] / count[y]
		})
	})
}

// eachWindow calls f with the offsets of every pixel of x and of the element of
// y whose window it is in; the pixels of a window come in row-major order.
func eachWindow(a ir.PoolAttr, x, y Tensor, f func(x, y int)) {
	s := y.Shape
	for n := range s[0] {
		for c := range s[1] {
			for p := range s[2] {
				for q := range s[3] {
					for i := range a.Kernel[0] {
						for j := range a.Kernel[1] {
							h, w := p*a.Stride[0]-a.Pad[0]+i, q*a.Stride[1]-a.Pad[1]+j
							if h >= 0 && h < x.Shape[2] && w >= 0 && w < x.Shape[3] {
								f(x.at4(n, c, h, w), y.at4(n, c, p, q))
							}
						}
					}
				}
			}
		}
	}
}

// pixels is what each window of an average is divided by, counted one by one.
func pixels(o ir.AvgPool, x, y Tensor) []float64 {
	count := make([]float64, len(y.Data))
	if o.CountPad {
		for i := range count {
			count[i] = float64(o.Kernel[0] * o.Kernel[1])
		}
		return count
	}
	eachWindow(o.PoolAttr, x, y, func(_, y int) { count[y]++ })
	return count
}

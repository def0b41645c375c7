package reference

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	Register("GlobalAvgPool", func(_ ir.Op, in, out []Tensor) {
		plane := in[0].Shape[2] * in[0].Shape[3]
		for i, x := range in[0].Data {
			out[0].Data[i/plane] += x / float64(plane)
		}
	})
	Register("GlobalAvgPoolGrad", func(_ ir.Op, in, out []Tensor) {
		plane := out[0].Shape[2] * out[0].Shape[3]
		for i := range out[0].Data {
			out[0].Data[i] = in[0].Data[i/plane] / float64(plane)
		}
	})
}

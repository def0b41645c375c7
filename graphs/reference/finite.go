package reference

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

func init() {
	Register("SumSquares", func(_ ir.Op, in, out []Tensor) {
		for _, x := range in[0].Data {
			out[0].Data[0] += x * x
		}
	})
	Register("KeepFinite", func(_ ir.Op, in, out []Tensor) {
		from := in[1]
		if m := in[0].Data[0]; math.IsNaN(m) || math.IsInf(m, 0) {
			from = in[2]
		}
		copy(out[0].Data, from.Data)
	})
}

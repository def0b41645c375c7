package reference

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

func init() { Register("Softmax", softmax) }

func softmax(_ ir.Op, in, out []Tensor) {
	k := in[0].Shape[len(in[0].Shape)-1]
	for at := 0; at < len(in[0].Data); at += k {
		for j, l := range logSoftmax(in[0].Data[at : at+k]) {
			out[0].Data[at+j] = math.Exp(l)
		}
	}
}

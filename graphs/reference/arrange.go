package reference

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

func init() {
	Register("Transpose", func(op ir.Op, in, out []Tensor) {
		perm := op.(ir.Transpose).Perm
		for i, x := range in[0].Data {
			from := position(i, in[0].Shape)
			to := make([]int, len(from))
			for axis := range to {
				to[axis] = from[perm[axis]]
			}
			out[0].Data[offset(to, out[0].Shape)] = x
		}
	})
	Register("Expand", func(_ ir.Op, in, out []Tensor) {
		for i := range out[0].Data {
			out[0].Data[i] = in[0].Data[broadcast(position(i, out[0].Shape), in[0].Shape)]
		}
	})
	Register("BatchMatMul", batchMatMul)
	Register("LayerNorm", layerNorm)
}

func batchMatMul(op ir.Op, in, out []Tensor) {
	o := op.(ir.BatchMatMul)
	matrix := func(t Tensor, at int) Tensor {
		s := t.Shape[len(t.Shape)-2:]
		return Tensor{s, t.Data[at*s.Size() : (at+1)*s.Size()]}
	}
	y := out[0].Shape
	lead := y[:len(y)-2]
	for i := range lead.Size() {
		pos := position(i, lead)
		a := broadcast(pos, in[0].Shape[:len(in[0].Shape)-2])
		b := broadcast(pos, in[1].Shape[:len(in[1].Shape)-2])
		matMul(ir.MatMul(o), []Tensor{matrix(in[0], a), matrix(in[1], b)}, []Tensor{matrix(out[0], i)})
	}
}

func layerNorm(op ir.Op, in, out []Tensor) {
	x, d := in[0], in[1].Shape[0]
	for at := 0; at < len(x.Data); at += d {
		row, mean, variance := x.Data[at:at+d], 0.0, 0.0
		for _, v := range row {
			mean += v / float64(d)
		}
		for _, v := range row {
			variance += (v - mean) * (v - mean) / float64(d)
		}
		r := 1 / math.Sqrt(variance+float64(op.(ir.LayerNorm).Eps))
		for i, v := range row {
			out[0].Data[at+i] = (v-mean)*r*in[1].Data[i] + in[2].Data[i]
		}
		out[1].Data[at/d], out[2].Data[at/d] = mean, r
	}
}

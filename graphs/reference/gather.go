package reference

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	Register("Gather", func(op ir.Op, in, out []Tensor) {
		o := op.(ir.Gather)
		for i := range out[0].Data {
			pos := position(i, out[0].Shape)
			pos[o.Axis] = o.Index[pos[o.Axis]]
			out[0].Data[i] = in[0].Data[offset(pos, in[0].Shape)]
		}
	})
	Register("GatherGrad", func(op ir.Op, in, out []Tensor) {
		o := op.(ir.GatherGrad)
		for i, d := range in[0].Data {
			pos := position(i, in[0].Shape)
			pos[o.Axis] = o.Index[pos[o.Axis]]
			out[0].Data[offset(pos, out[0].Shape)] += d
		}
	})
}

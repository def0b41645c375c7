package reference

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	Register("Reshape", func(_ ir.Op, in, out []Tensor) {
		copy(out[0].Data, in[0].Data)
	})
	Register("Slice", func(op ir.Op, in, out []Tensor) {
		for i := range out[0].Data {
			out[0].Data[i] = in[0].Data[source(op.(ir.Slice), i, out[0].Shape, in[0].Shape)]
		}
	})
	Register("SliceGrad", func(op ir.Op, in, out []Tensor) {
		for i, d := range in[0].Data {
			out[0].Data[source(op.(ir.SliceGrad).Slice, i, in[0].Shape, out[0].Shape)] = d
		}
	})
	Register("Pad", func(op ir.Op, in, out []Tensor) {
		for i, x := range in[0].Data {
			pos := position(i, in[0].Shape)
			for axis := range pos {
				pos[axis] += op.(ir.Pad).Before[axis]
			}
			out[0].Data[offset(pos, out[0].Shape)] = x
		}
	})
	Register("Concat", func(op ir.Op, in, out []Tensor) {
		axis, first := op.(ir.Concat).Axis, 0
		for _, t := range in {
			for i, x := range t.Data {
				pos := position(i, t.Shape)
				pos[axis] += first
				out[0].Data[offset(pos, out[0].Shape)] = x
			}
			first += t.Shape[axis]
		}
	})
	Register("Split", func(_ ir.Op, in, out []Tensor) {
		n := 0
		for _, t := range out {
			n += copy(t.Data, in[0].Data[n:])
		}
	})
	Register("Runs", func(op ir.Op, _, out []Tensor) {
		o, n := op.(ir.Runs), 0
		for i, length := range o.Lengths {
			for range length {
				out[0].Data[n] = float64(o.Values[i])
				n++
			}
		}
	})
}

// source is the offset in the sliced tensor of element i of the slice.
func source(s ir.Slice, i int, slice, whole ir.Shape) int {
	pos := position(i, slice)
	for axis := range pos {
		pos[axis] = s.Start[axis] + pos[axis]*s.Step[axis]
	}
	return offset(pos, whole)
}

package reference

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

func init() {
	for kind, f := range map[ir.UnaryKind]func(x float64) float64{
		ir.Relu: func(x float64) float64 { return math.Max(x, 0) },
		ir.Neg:  func(x float64) float64 { return -x },
		ir.Sqrt: math.Sqrt,
		ir.Exp:  math.Exp,
		ir.Log:  math.Log,
		ir.Abs:  math.Abs,
		ir.Sign: sign,
		ir.Tanh: math.Tanh,
	} {
		registerUnary(kind, f)
	}
	for kind, f := range map[ir.BinaryKind]func(a, b float64) float64{
		ir.Add: func(a, b float64) float64 { return a + b },
		ir.Sub: func(a, b float64) float64 { return a - b },
		ir.Mul: func(a, b float64) float64 { return a * b },
		ir.Div: func(a, b float64) float64 { return a / b },
		ir.Max: math.Max,
		ir.Min: math.Min,
	} {
		registerBinary(kind, f)
	}
	Register("ReluGrad", func(_ ir.Op, in, out []Tensor) {
		dy, y := in[0], in[1]
		for i := range dy.Data {
			if y.Data[i] > 0 {
				out[0].Data[i] = dy.Data[i]
			}
		}
	})
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func registerUnary(kind ir.UnaryKind, f func(x float64) float64) {
	Register(string(kind), func(_ ir.Op, in, out []Tensor) {
		for i, x := range in[0].Data {
			out[0].Data[i] = f(x)
		}
	})
}

func registerBinary(kind ir.BinaryKind, f func(a, b float64) float64) {
	Register(string(kind), func(_ ir.Op, in, out []Tensor) {
		y := out[0]
		for i := range y.Data {
			pos := position(i, y.Shape)
			y.Data[i] = f(in[0].Data[broadcast(pos, in[0].Shape)], in[1].Data[broadcast(pos, in[1].Shape)])
		}
	})
}

// position turns an offset into one index per axis.
func position(offset int, s ir.Shape) []int {
	pos := make([]int, len(s))
	for i := len(s) - 1; i >= 0; i-- {
		pos[i] = offset % s[i]
		offset /= s[i]
	}
	return pos
}

// offset is the inverse of position.
func offset(pos []int, s ir.Shape) int {
	o := 0
	for i, d := range s {
		o = o*d + pos[i]
	}
	return o
}

// broadcast is the offset, in a tensor of shape s, of the element that stands
// at pos of the broadcast result: shapes align at the last axis, and an axis
// of size 1 repeats.
func broadcast(pos []int, s ir.Shape) int {
	pos = pos[len(pos)-len(s):]
	o := 0
	for i, d := range s {
		if d == 1 {
			continue
		}
		o = o*d + pos[i]
	}
	return o
}

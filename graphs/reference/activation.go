package reference

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// The normal distribution and its density.
func normalCDF(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }
func normalPDF(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }

// geluCubic is the argument of GeluTanh's tangent, and its slope.
func geluCubic(x float64) (u, slope float64) {
	k := math.Sqrt(2 / math.Pi)
	return k * (x + 0.044715*x*x*x), k * (1 + 3*0.044715*x*x)
}

func init() {
	registerUnary(ir.Erf, math.Erf)
	registerUnary(ir.Sigmoid, sigmoid)
	registerUnary(ir.Silu, func(x float64) float64 { return x * sigmoid(x) })
	registerUnary(ir.HardSwish, func(x float64) float64 { return x * math.Min(math.Max(x+3, 0), 6) / 6 })
	registerUnary(ir.Gelu, func(x float64) float64 { return x * normalCDF(x) })
	registerUnary(ir.GeluTanh, func(x float64) float64 {
		u, _ := geluCubic(x)
		return 0.5 * x * (1 + math.Tanh(u))
	})
	for kind, slope := range map[ir.UnaryGradKind]func(v float64) float64{
		ir.ErfGrad:     func(x float64) float64 { return 2 / math.Sqrt(math.Pi) * math.Exp(-x*x) },
		ir.SigmoidGrad: func(y float64) float64 { return y * (1 - y) },
		ir.TanhGrad:    func(y float64) float64 { return 1 - y*y },
		ir.SiluGrad:    func(x float64) float64 { return sigmoid(x) * (1 + x*(1-sigmoid(x))) },
		ir.HardSwishGrad: func(x float64) float64 {
			switch {
			case x <= -3:
				return 0
			case x >= 3:
				return 1
			}
			return x/3 + 0.5
		},
		ir.GeluGrad: func(x float64) float64 { return normalCDF(x) + x*normalPDF(x) },
		ir.GeluTanhGrad: func(x float64) float64 {
			u, du := geluCubic(x)
			t := math.Tanh(u)
			return 0.5*(1+t) + 0.5*x*(1-t*t)*du
		},
	} {
		Register(string(kind), func(_ ir.Op, in, out []Tensor) {
			for i, v := range in[1].Data {
				out[0].Data[i] = in[0].Data[i] * slope(v)
			}
		})
	}
	Register("HardSigmoid", func(op ir.Op, in, out []Tensor) {
		o := op.(ir.HardSigmoid)
		for i, x := range in[0].Data {
			out[0].Data[i] = math.Min(math.Max(float64(o.Alpha)*x+float64(o.Beta), 0), 1)
		}
	})
	Register("HardSigmoidGrad", func(op ir.Op, in, out []Tensor) {
		for i, y := range in[1].Data {
			if 0 < y && y < 1 {
				out[0].Data[i] = in[0].Data[i] * float64(op.(ir.HardSigmoidGrad).Alpha)
			}
		}
	})
	Register("Clip", func(op ir.Op, in, out []Tensor) {
		o := op.(ir.Clip)
		for i, x := range in[0].Data {
			out[0].Data[i] = math.Min(math.Max(x, float64(o.Low)), float64(o.High))
		}
	})
	Register("ClipGrad", func(op ir.Op, in, out []Tensor) {
		o := op.(ir.ClipGrad)
		for i, y := range in[1].Data {
			if float64(o.Low) < y && y < float64(o.High) {
				out[0].Data[i] = in[0].Data[i]
			}
		}
	})
	Register("Shake", func(_ ir.Op, in, out []Tensor) {
		for i, x := range in[0].Data {
			out[0].Data[i] = x * in[1].Data[broadcast(position(i, in[0].Shape), in[1].Shape)]
		}
	})
}

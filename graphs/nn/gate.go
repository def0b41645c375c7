package nn

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

// SqueezeExcite multiplies each channel of x N×C×H×W by a gate between 0 and 1
// that two layers compute from the means of all channels, with reduced hidden
// units and a rectifier (Hu et al. 2017, "Squeeze-and-Excitation Networks"). It
// declares NAME.fc1 and NAME.fc2, 1×1 convolutions with biases as in timm.
func (b *Builder) SqueezeExcite(name string, x *ir.Value, reduced int) *ir.Value {
	n, c := x.Shape[0], x.Shape[1]
	layer := func(name string, x *ir.Value, out int) *ir.Value {
		in := x.Shape[1]
		w := b.Source.Param(Tensor{Name: name + ".weight", Shape: ir.Shape{out, in, 1, 1}, Init: b.Init.weights(in, out)})
		bias := b.Source.Param(Tensor{Name: name + ".bias", Shape: ir.Shape{out}, Bias: true,
			Init: ir.Init{Kind: ir.InitUniform, Bound: 1 / math.Sqrt(float64(in))}})
		// Maps of one pixel: the convolution is a product of matrices.
		y := b.G.One(name+".matmul", ir.MatMul{TransB: true}, x, b.G.One(name+".matrix", ir.ReshapeTo(ir.Shape{out, in}), w))
		return b.G.One(name, ir.Binary{F: ir.Add}, y, bias)
	}
	s := b.G.One(name+".pool", ir.GlobalAvgPool{}, x)
	s = b.Relu(name+".act1", layer(name+".fc1", s, reduced))
	s = b.G.One(name+".gate", ir.Unary{F: ir.Sigmoid}, layer(name+".fc2", s, c))
	return b.G.One(name, ir.Binary{F: ir.Mul}, x, b.G.One(name+".maps", ir.ReshapeTo(ir.Shape{n, c, 1, 1}), s))
}

// Sixteenth is the usual number of a gate's hidden units: a sixteenth of the
// channels, rounded to a multiple of 8 and at least 8 (timm's).
func Sixteenth(channels int) int { return max(8, (channels/16+4)/8*8) }

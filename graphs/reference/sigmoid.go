package reference

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

func init() {
	Register("SigmoidCrossEntropy", sigmoidCrossEntropy)
	Register("SigmoidCrossEntropyGrad", sigmoidCrossEntropyGrad)
}

// softplus is log(1 + exp x) without overflow.
func softplus(x float64) float64 {
	return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
}

// sigmoidCrossEntropy uses −log σ(z) = softplus(−z), −log(1−σ(z)) = softplus(z).
func sigmoidCrossEntropy(_ ir.Op, in, out []Tensor) {
	loss := 0.0
	for i, z := range in[0].Data {
		t := in[1].Data[i]
		loss += t*softplus(-z) + (1-t)*softplus(z)
	}
	out[0].Data[0] = loss / float64(len(in[0].Data))
}

func sigmoidCrossEntropyGrad(_ ir.Op, in, out []Tensor) {
	g := in[0].Data[0] / float64(len(in[1].Data))
	for i, z := range in[1].Data {
		out[0].Data[i] = g * (1/(1+math.Exp(-z)) - in[2].Data[i])
	}
}

package reference

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

func init() {
	Register("SoftmaxFocal", softmaxFocal)
	Register("SoftmaxFocalGrad", softmaxFocalGrad)
	Register("SigmoidFocal", sigmoidFocal)
	Register("SigmoidFocalGrad", sigmoidFocalGrad)
}

// rest is 1 − exp(logp) with all digits, and never 0, so that it has a power
// below 0.
func rest(logp float64) float64 { return math.Max(-math.Expm1(logp), 1e-300) }

func softmaxFocal(op ir.Op, in, out []Tensor) {
	gamma := op.(ir.SoftmaxFocal).Gamma
	n, k := in[0].Shape[0], in[0].Shape[1]
	loss := 0.0
	for i := range n {
		row := logSoftmax(in[0].Data[i*k : (i+1)*k])
		copy(out[1].Data[i*k:], row)
		for j, l := range row {
			loss -= in[1].Data[i*k+j] * math.Pow(rest(l), gamma) * l
		}
	}
	out[0].Data[0] = loss / float64(n)
}

func softmaxFocalGrad(op ir.Op, in, out []Tensor) {
	gamma, g, logp, t := op.(ir.SoftmaxFocalGrad).Gamma, in[0].Data[0], in[1], in[2]
	n, k := logp.Shape[0], logp.Shape[1]
	for i := range n {
		u, total := make([]float64, k), 0.0
		for j := range k {
			l := logp.Data[i*k+j]
			q := rest(l)
			u[j] = t.Data[i*k+j] * (gamma*math.Exp(l)*math.Pow(q, gamma-1)*l - math.Pow(q, gamma))
			total += u[j]
		}
		for j := range k {
			out[0].Data[i*k+j] = g / float64(n) * (u[j] - math.Exp(logp.Data[i*k+j])*total)
		}
	}
}

// focalTerms returns α_t, m = 1 − p_t, p and the binary cross-entropy of one
// logit and target.
func focalTerms(alpha, z, t float64) (weight, m, p, b float64) {
	weight = 1
	if alpha >= 0 {
		weight = alpha*t + (1-alpha)*(1-t)
	}
	p, q := 1/(1+math.Exp(-z)), 1/(1+math.Exp(z))
	return weight, math.Max(p*(1-t)+q*t, 1e-300), p, t*softplus(-z) + (1-t)*softplus(z)
}

func sigmoidFocal(op ir.Op, in, out []Tensor) {
	o, loss := op.(ir.SigmoidFocal), 0.0
	for i, z := range in[0].Data {
		weight, m, _, b := focalTerms(o.Alpha, z, in[1].Data[i])
		loss += weight * math.Pow(m, o.Gamma) * b
	}
	out[0].Data[0] = loss / float64(len(in[0].Data))
}

func sigmoidFocalGrad(op ir.Op, in, out []Tensor) {
	o, g := op.(ir.SigmoidFocalGrad), in[0].Data[0]/float64(len(in[1].Data))
	for i, z := range in[1].Data {
		t := in[2].Data[i]
		weight, m, p, b := focalTerms(o.Alpha, z, t)
		slope := p / (1 + math.Exp(z)) // p·(1−p)
		out[0].Data[i] = g * weight * (o.Gamma*math.Pow(m, o.Gamma-1)*(1-2*t)*slope*b + math.Pow(m, o.Gamma)*(p-t))
	}
}

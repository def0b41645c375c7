package reference

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

func init() {
	Register("BatchNormTrain", batchNormTrain)
	Register("BatchNormInfer", batchNormInfer)
	Register("BatchNormGrad", batchNormGrad)
}

// eachOf calls f with the offset of every element of channel c of x N×C×H×W.
func eachOf(x Tensor, c int, f func(i int)) {
	plane := x.Shape[2] * x.Shape[3]
	for n := range x.Shape[0] {
		for p := range plane {
			f((n*x.Shape[1]+c)*plane + p)
		}
	}
}

// batchNormTrain follows Ioffe & Szegedy 2015, algorithm 1.
func batchNormTrain(op ir.Op, in, out []Tensor) {
	x, scale, shift := in[0], in[1], in[2]
	y, mean, variance := out[0], out[1], out[2]
	count := float64(x.Shape.Size() / x.Shape[1])
	for c := range x.Shape[1] {
		sum := 0.0
		eachOf(x, c, func(i int) { sum += x.Data[i] })
		mean.Data[c] = sum / count
		sum = 0
		eachOf(x, c, func(i int) { sum += (x.Data[i] - mean.Data[c]) * (x.Data[i] - mean.Data[c]) })
		variance.Data[c] = sum / count
	}
	normalise(op.(ir.BatchNormTrain).Eps, x, scale, shift, mean, variance, y)
}

func batchNormInfer(op ir.Op, in, out []Tensor) {
	normalise(op.(ir.BatchNormInfer).Eps, in[0], in[1], in[2], in[3], in[4], out[0])
}

func normalise(eps float32, x, scale, shift, mean, variance, y Tensor) {
	for c := range x.Shape[1] {
		std := math.Sqrt(variance.Data[c] + float64(eps))
		eachOf(x, c, func(i int) {
			y.Data[i] = scale.Data[c]*(x.Data[i]-mean.Data[c])/std + shift.Data[c]
		})
	}
}

// batchNormGrad follows the chain rule of Ioffe & Szegedy 2015, §3, term by
// term: through the normalised value, the variance and the mean.
func batchNormGrad(op ir.Op, in, out []Tensor) {
	dy, x, scale, mean, variance := in[0], in[1], in[2], in[3], in[4]
	dx, dscale, dshift := out[0], out[1], out[2]
	eps := float64(op.(ir.BatchNormGrad).Eps)
	count := float64(x.Shape.Size() / x.Shape[1])
	for c := range x.Shape[1] {
		mu, v := mean.Data[c], variance.Data[c]+eps
		// dvar = Σ dy·γ·(x−μ)·(−½)·(σ²+ε)^(−3/2); dmean = −Σ dy·γ/√(σ²+ε),
		// the term of the variance in dmean being zero since Σ(x−μ) = 0.
		var dvar, dmean, dgamma, dbeta float64
		eachOf(x, c, func(i int) {
			dgamma += dy.Data[i] * (x.Data[i] - mu) / math.Sqrt(v)
			dbeta += dy.Data[i]
			dvar += dy.Data[i] * scale.Data[c] * (x.Data[i] - mu) * -0.5 * math.Pow(v, -1.5)
			dmean -= dy.Data[i] * scale.Data[c] / math.Sqrt(v)
		})
		eachOf(x, c, func(i int) {
			dx.Data[i] = dy.Data[i]*scale.Data[c]/math.Sqrt(v) +
				dvar*2*(x.Data[i]-mu)/count + dmean/count
		})
		dscale.Data[c], dshift.Data[c] = dgamma, dbeta
	}
}

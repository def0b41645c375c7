package reference

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

func init() {
	Register("MatMul", matMul)
	Register("Gemm", func(op ir.Op, in, out []Tensor) {
		o := op.(ir.Gemm)
		matMul(ir.MatMul{TransA: o.TransA, TransB: o.TransB}, in, out)
		for i, c := range in[2].Data {
			out[0].Data[i] = float64(o.Alpha)*out[0].Data[i] + float64(o.Beta)*c
		}
	})
	Register("Sum", sum)
	Register("SoftmaxCrossEntropy", softmaxCrossEntropy)
	Register("SoftmaxCrossEntropyGrad", softmaxCrossEntropyGrad)
}

func matMul(op ir.Op, in, out []Tensor) {
	o, y := op.(ir.MatMul), out[0]
	inner := in[0].Shape[1]
	if o.TransA {
		inner = in[0].Shape[0]
	}
	// at reads element (i, j) of a matrix, transposed where asked.
	at := func(t Tensor, trans bool, i, j int) float64 {
		if trans {
			i, j = j, i
		}
		return t.Data[i*t.Shape[1]+j]
	}
	for i := range y.Shape[0] {
		for j := range y.Shape[1] {
			s := 0.0
			for k := range inner {
				s += at(in[0], o.TransA, i, k) * at(in[1], o.TransB, k, j)
			}
			y.Data[i*y.Shape[1]+j] = s
		}
	}
}

func sum(op ir.Op, in, out []Tensor) {
	axes := op.(ir.Sum).Axes
	kept := make(ir.Shape, len(in[0].Shape))
	for i, d := range in[0].Shape {
		if kept[i] = d; axes>>i&1 == 1 {
			kept[i] = 1
		}
	}
	for i, x := range in[0].Data {
		// A kept axis of size 1 is where the summed elements meet.
		out[0].Data[broadcast(position(i, in[0].Shape), kept)] += x
	}
}

// logSoftmax is z − log Σ exp z of one row, shifted by the largest element.
func logSoftmax(z []float64) []float64 {
	top := math.Inf(-1)
	for _, x := range z {
		top = math.Max(top, x)
	}
	s := 0.0
	for _, x := range z {
		s += math.Exp(x - top)
	}
	out := make([]float64, len(z))
	for i, x := range z {
		out[i] = x - top - math.Log(s)
	}
	return out
}

func softmaxCrossEntropy(_ ir.Op, in, out []Tensor) {
	n, k := in[0].Shape[0], in[0].Shape[1]
	loss := 0.0
	for i := range n {
		row := logSoftmax(in[0].Data[i*k : (i+1)*k])
		copy(out[1].Data[i*k:], row)
		for j, l := range row {
			loss -= in[1].Data[i*k+j] * l
		}
	}
	out[0].Data[0] = loss / float64(n)
}

// softmaxCrossEntropyGrad is ∂/∂z_j of −Σ_k t_k·(z_k − log Σ exp z), which is
// −t_j + Σ_k t_k·softmax(z)_j.
func softmaxCrossEntropyGrad(_ ir.Op, in, out []Tensor) {
	g, logp, t := in[0].Data[0], in[1], in[2]
	n, k := logp.Shape[0], logp.Shape[1]
	for i := range n {
		total := 0.0
		for j := range k {
			total += t.Data[i*k+j]
		}
		for j := range k {
			out[0].Data[i*k+j] = g / float64(n) * (math.Exp(logp.Data[i*k+j])*total - t.Data[i*k+j])
		}
	}
}

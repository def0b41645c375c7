package optimizer

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

// Coefficients and number of the quintic Newton–Schulz iterations, and the
// smallest norm that is divided by (Jordan 2024). They trade exactness for
// speed: singular values end between about 0.7 and 1.2.
const (
	schulzA, schulzB, schulzC = 3.4445, -4.7750, 2.0315
	schulzSteps               = 5
	schulzEpsilon             = 1e-7
)

// matrix is a flat value that is seen as rows×columns; scale names the factor
// of its orthogonalised form.
type matrix struct {
	flat          *ir.Value
	rows, columns int
	scale         string
}

// factor makes up for the shape: an orthogonal matrix has entries of size
// 1/√max(rows, columns).
func (m matrix) factor() float32 {
	r, c := float64(m.rows), float64(m.columns)
	if m.scale == "match_rms_adamw" {
		return float32(0.2 * math.Sqrt(max(r, c)))
	}
	return float32(math.Sqrt(max(1, r/c)))
}

// orthogonalise returns, flat, factor·U·Vᵀ (nearly) of each matrix U·Σ·Vᵀ:
//
//	X ← X/max(‖X‖, ε), then five times
//	A = X·Xᵀ;  X ← aX + (bA + cA²)·X
//
// with products on the shorter side: XᵀX from the right for tall matrices.
// Each iteration is three matrix products and nothing else.
func (s *State) orthogonalise(ms []matrix) []*ir.Value {
	var sums []*ir.Value
	for _, m := range ms {
		sums = append(sums, s.G.One("muon.sum", ir.Sum{Axes: 1, Keep: true}, s.mul(m.flat, m.flat)))
	}
	norms := s.max(s.sqrt(s.G.One("muon.sums", ir.Concat{}, sums...)), s.G.Scalar(schulzEpsilon))
	ones := make([]ir.Shape, len(ms))
	for i := range ones {
		ones[i] = ir.Shape{1}
	}
	each := s.G.Apply("muon.norms", ir.Split{Parts: ones}, norms)
	out := make([]*ir.Value, len(ms))
	for i, m := range ms {
		x := s.G.One("muon.matrix", ir.ReshapeTo(ir.Shape{m.rows, m.columns}), s.div(m.flat, each[i]))
		tall := m.rows > m.columns
		for k := range schulzSteps {
			a := s.G.One("muon.gram", ir.MatMul{TransA: tall, TransB: !tall}, x, x)
			b := s.G.One("muon.poly", ir.Gemm{Alpha: schulzC, Beta: schulzB}, a, a, a)
			f := float32(1)
			if k == schulzSteps-1 {
				f = m.factor()
			}
			op := ir.Gemm{Alpha: f, Beta: schulzA * f}
			if tall {
				x = s.G.One("muon.x", op, x, b, x)
			} else {
				x = s.G.One("muon.x", op, b, x, x)
			}
		}
		out[i] = s.G.One("muon.flat", ir.ReshapeTo(ir.Shape{m.rows * m.columns}), x)
	}
	return out
}

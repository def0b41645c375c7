package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// L1 regularisation: the subgradient of l1·Σ|p|, over the parameters that
// decay.
//
//	g ← g + l1·sign(p), sign(0) = 0
//
// Tibshirani 1996, "Regression Shrinkage and Selection via the Lasso".
func l1() *Transform {
	return &Transform{
		Name:        "l1",
		Description: "L1 regularisation of the parameters that decay",
		Source:      "Tibshirani 1996",
		Hyper:       []Hyper{{Name: "l1", Default: 1e-5, Help: "factor of the sum of magnitudes in the loss"}},
		Apply: func(s *State) *ir.Value {
			return s.add(s.Grads, s.mul(s.decaying(s.unary(ir.Sign, s.Params)), s.Hyper["l1"]))
		},
	}
}

package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// Adaptive gradient clipping: the gradient of each unit is bounded in
// proportion to the unit's weights.
//
//	G_i ← G_i · min(1, λ·max(‖W_i‖, 1e-3)/‖G_i‖)
//
// A unit i is one output channel of a kernel or one row of a matrix; a vector
// counts as one unit. The classifier's matrix is left alone, as the paper
// recommends (its bias is not). Brock, De, Smith, Simonyan 2021,
// "High-Performance Large-Scale Image Recognition Without Normalization",
// §4.1.
func agc() *Transform {
	return &Transform{
		Name:        "agc",
		Description: "bound the gradient of each unit in proportion to its weights",
		Source:      "Brock et al. 2021",
		Hyper:       []Hyper{{Name: "agc", Default: 0.01, Help: "largest ratio λ of the norms of gradient and weights", Bounds: Positive}},
		Apply: func(s *State) *ir.Value {
			last := s.last()
			l := s.layersOf(func(i int, g Segment) int {
				switch {
				case i == last:
					return 0
				case len(g.Shape) < 2:
					return 1
				}
				return g.Shape[0]
			})
			if l.rows == 0 {
				return s.Grads
			}
			most := s.mul(s.max(l.norms(s.Params), s.G.Scalar(1e-3)), s.Hyper["agc"])
			// A gradient of zero stays so, whatever it is multiplied by.
			grads := s.max(l.norms(s.Grads), s.G.Scalar(1e-12))
			return l.scale(s.Grads, s.min(s.div(most, grads), s.G.Scalar(1)))
		},
	}
}

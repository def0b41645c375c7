package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// clipNorm bounds the Euclidean norm of the whole gradient:
//
//	g ← g · min(1, c/(‖g‖ + 1e-6))
//
// Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent
// neural networks", algorithm 1; 1e-6 as in PyTorch's clip_grad_norm_.
func clipNorm() *Transform {
	return &Transform{
		Name:        "clip_norm",
		Description: "bound the norm of the whole gradient",
		Source:      "Pascanu et al. 2013",
		Hyper:       []Hyper{{Name: "clip_norm", Default: 1, Help: "largest norm of the gradient", Bounds: Positive}},
		Apply: func(s *State) *ir.Value {
			norm := s.sqrt(s.G.One("clip.sum", ir.Sum{Axes: 1}, s.mul(s.Grads, s.Grads)))
			factor := s.div(s.Hyper["clip_norm"], s.add(norm, s.G.Scalar(1e-6)))
			return s.mul(s.Grads, s.min(factor, s.G.Scalar(1)))
		},
	}
}

// clipValue bounds every element of the gradient: g ← clip(g, −c, c), as
// PyTorch's clip_grad_value_ does.
func clipValue() *Transform {
	return &Transform{
		Name:        "clip_value",
		Description: "bound every element of the gradient",
		Source:      "Mikolov 2012",
		Hyper:       []Hyper{{Name: "clip_value", Default: 1, Help: "largest magnitude of an element", Bounds: Positive}},
		Apply: func(s *State) *ir.Value {
			c := s.Hyper["clip_value"]
			return s.max(s.min(s.Grads, c), s.unary(ir.Neg, c))
		},
	}
}

package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// RMSprop in PyTorch's form: ε is added after the root, and the learning rate
// multiplies the velocity.
//
//	g ← ∇ + weight_decay·p
//	s ← α·s + (1 − α)·g²
//	a ← α·a + (1 − α)·g                      (centered)
//	d = √s + ε, or centered √(s − a²) + ε
//	b ← momentum·b + g/d
//	p ← p − lr·b
//
// Tieleman & Hinton 2012, "Neural Networks for Machine Learning", lecture 6.5;
// centered: Graves 2013, "Generating Sequences With Recurrent Neural
// Networks", §4. Where rounding makes s − a² negative it counts as 0; PyTorch
// gives NaN.
func init() {
	Register(&Optimizer{
		Name:        "rmsprop",
		Description: "gradient over its running root mean square, momentum and centering on request",
		Source:      "Tieleman & Hinton 2012; PyTorch's form",
		Slots: []Slot{
			{Name: "square_avg"}, {Name: "momentum_buffer"},
			{Name: "grad_avg", When: When{"centered", "true"}}},
		Hyper: []Hyper{lr(0.01),
			{Name: "alpha", Default: 0.99, Help: "share of the mean of squared gradients that is kept", Bounds: Share},
			epsilon(1e-8), momentum(0, "share of the velocity that is kept"), decay(0, coupledHelp)},
		Options: []Option{{"centered", []string{"false", "true"}, "divide by the standard deviation: subtract the squared mean"}},
		Update:  rmsprop,
	})
}

func rmsprop(s *State) (*ir.Value, map[string]*ir.Value) {
	g, alpha := s.decayedGrads(), s.Hyper["alpha"]
	square := s.mean(s.Slots["square_avg"], alpha, s.mul(g, g))
	slots := map[string]*ir.Value{"square_avg": square}
	if s.on("centered") {
		mean := s.mean(s.Slots["grad_avg"], alpha, g)
		slots["grad_avg"] = mean
		square = s.max(s.sub(square, s.mul(mean, mean)), s.G.Scalar(0))
	}
	below := s.add(s.sqrt(square), s.Hyper["eps"])
	b := s.add(s.mul(s.Slots["momentum_buffer"], s.Hyper[Momentum]), s.div(g, below))
	slots["momentum_buffer"] = b
	return s.sub(s.Params, s.mul(b, s.Hyper[LR])), slots
}

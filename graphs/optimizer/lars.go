package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// LARS: SGD with momentum whose rate is scaled, for each tensor, by the ratio
// of the sizes of the weights and of their gradient; for very large batches.
//
//	λ = trust·‖p‖ / (‖∇‖ + weight_decay·‖p‖ + ε), 1 where a norm is 0
//	v ← momentum·v + lr·λ·(∇ + weight_decay·p)
//	p ← p − v                                    (plain)
//	p ← p − (momentum·v + lr·λ·(∇ + weight_decay·p))   (Nesterov)
//
// You, Gitman, Ginsburg 2017, "Large Batch Training of Convolutional
// Networks", algorithm 1: unlike in SGD here, the learning rate is within the
// velocity. Norms and biases have λ = 1 unless adapt_norm_and_bias asks
// otherwise, as in the authors' successors' code (MLPerf's LARS for ResNet-50).
func init() {
	Register(&Optimizer{
		Name:        "lars",
		Description: "SGD with a rate per layer, in proportion to the weights over the gradient",
		Source:      "You et al. 2017",
		Slots:       []Slot{{Name: "momentum_buffer"}},
		Hyper: []Hyper{lr(0.1), momentum(0.9, "share of the velocity that is kept"), decay(1e-4, coupledHelp),
			{Name: "trust", Default: 1e-3, Help: "trust coefficient η", Bounds: Positive},
			{Name: "eps", Default: 0, Help: "added to the norms below"}},
		Options: []Option{
			{"nesterov", []string{"false", "true"}, "look ahead along the velocity"},
			adaptOption()},
		Update: lars,
	})
}

func adaptOption() Option {
	return Option{"adapt_norm_and_bias", []string{"false", "true"}, "scale the rate of norms and biases too"}
}

func lars(s *State) (*ir.Value, map[string]*ir.Value) {
	l := s.tensors(s.on("adapt_norm_and_bias"))
	step := s.decayedGrads()
	if l.rows > 0 {
		weights, grads := l.norms(s.Params), l.norms(s.Grads)
		decay := s.mul(s.mul(weights, l.decayed()), s.Hyper[WeightDecay])
		below := s.add(s.add(grads, decay), s.Hyper["eps"])
		// trust·‖p‖ is positive where ‖p‖ is.
		step = l.scale(step, s.trust(s.mul(weights, s.Hyper["trust"]), grads, below))
	}
	step = s.mul(step, s.Hyper[LR])
	v := s.add(s.mul(s.Slots["momentum_buffer"], s.Hyper[Momentum]), step)
	down := v
	if s.on("nesterov") {
		down = s.add(s.mul(v, s.Hyper[Momentum]), step)
	}
	return s.sub(s.Params, down), map[string]*ir.Value{"momentum_buffer": v}
}

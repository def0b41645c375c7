package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// LAMB: AdamW whose step is scaled, for each tensor, to the size of the
// weights; for very large batches.
//
//	m, v, m̂, v̂ as in Adam, of the plain gradient
//	r = m̂/(√v̂ + ε) + weight_decay·p
//	p ← p − lr · ‖p‖/‖r‖ · r, the ratio 1 where a norm is 0
//
// You et al. 2020, "Large Batch Optimization for Deep Learning: Training BERT
// in 76 minutes", algorithm 2 with φ the identity. Norms and biases have ratio
// 1 unless adapt_norm_and_bias asks otherwise, as in the authors' code.
func init() {
	Register(&Optimizer{
		Name:        "lamb",
		Description: "AdamW with a rate per layer, in proportion to the weights over the step",
		Source:      "You et al. 2020",
		Slots:       []Slot{{Name: "exp_avg"}, {Name: "exp_avg_sq"}},
		Hyper: []Hyper{lr(1e-3), beta1(0.9), beta2(0.999), epsilon(1e-6),
			decay(0.01, "factor of the parameters added to the step before it is scaled"), step()},
		Options: []Option{adaptOption()},
		Update:  lamb,
	})
}

func lamb(s *State) (*ir.Value, map[string]*ir.Value) {
	m := s.moments(s.Grads, false)
	r := s.add(m.direction(), s.mul(s.decaying(s.Params), s.Hyper[WeightDecay]))
	if l := s.tensors(s.on("adapt_norm_and_bias")); l.rows > 0 {
		size := l.norms(r)
		r = l.scale(r, s.trust(l.norms(s.Params), size, size))
	}
	return s.sub(s.Params, s.mul(r, s.Hyper[LR])), m.slots
}

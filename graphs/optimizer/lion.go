package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// Lion: steps of exactly the learning rate, in the direction of the sign of
// the momentum; one slot.
//
//	p ← p·(1 − lr·weight_decay)
//	p ← p − lr·sign(β₁·m + (1 − β₁)·∇)
//	m ← β₂·m + (1 − β₂)·∇
//
// Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms",
// algorithm 2.
func init() {
	Register(&Optimizer{
		Name:        "lion",
		Description: "sign of the momentum, decoupled weight decay",
		Source:      "Chen et al. 2023",
		Slots:       []Slot{{Name: "exp_avg"}},
		Hyper: []Hyper{lr(1e-4),
			{Name: "beta1", Default: 0.9, Help: "share of the momentum in the step", Bounds: Share},
			{Name: "beta2", Default: 0.99, Help: "share of the momentum that is kept", Bounds: Share},
			decay(0, decoupledHelp)},
		Update: lion,
	})
}

func lion(s *State) (*ir.Value, map[string]*ir.Value) {
	m := s.Slots["exp_avg"]
	step := s.unary(ir.Sign, s.mean(m, s.Hyper["beta1"], s.Grads))
	p := s.sub(s.shrunk(), s.mul(step, s.Hyper[LR]))
	return p, map[string]*ir.Value{"exp_avg": s.mean(m, s.Hyper["beta2"], s.Grads)}
}

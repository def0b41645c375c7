package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// Stochastic gradient descent with momentum, in PyTorch's convention: the
// learning rate multiplies the whole velocity, so a change of rate acts at once.
//
//	g ← ∇ + weight_decay·p
//	v ← momentum·v + g
//	p ← p − lr·v                      (plain)
//	p ← p − lr·(g + momentum·v)       (Nesterov)
//
// Sutskever, Martens, Dahl, Hinton 2013, "On the importance of initialization
// and momentum in deep learning".
func init() {
	Register(&Optimizer{
		Name:        "sgd",
		Description: "SGD with momentum, Nesterov momentum on request, L2 weight decay",
		Source:      "Sutskever et al. 2013; PyTorch's convention",
		Slots:       []Slot{{Name: "momentum_buffer"}},
		Hyper:       []Hyper{lr(0.1), momentum(0.9, "share of the velocity that is kept"), decay(1e-4, coupledHelp)},
		Options:     []Option{{"nesterov", []string{"false", "true"}, "look ahead along the velocity"}},
		Update:      sgd,
	})
}

func sgd(s *State) (*ir.Value, map[string]*ir.Value) {
	g := s.decayedGrads()
	v := s.add(s.mul(s.Slots["momentum_buffer"], s.Hyper[Momentum]), g)
	step := v
	if s.on("nesterov") {
		step = s.add(g, s.mul(v, s.Hyper[Momentum]))
	}
	p := s.sub(s.Params, s.mul(step, s.Hyper[LR]))
	return p, map[string]*ir.Value{"momentum_buffer": v}
}

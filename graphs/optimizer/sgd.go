package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// Stochastic gradient descent with momentum, in PyTorch's convention: the
// learning rate multiplies the whole velocity, so a change of rate acts at once.
//
//	g ← ∇ + weight_decay·p
//	v ← momentum·v + g
//	p ← p − lr·v                      (plain)
//	p ← p − lr·(g + momentum·v)       (Nesterov)
func init() {
	Register(&Optimizer{
		Name:        "sgd",
		Description: "SGD with momentum, Nesterov momentum on request, L2 weight decay",
		Source:      "Sutskever et al. 2013; PyTorch's convention",
		Slots:       []Slot{{Name: "momentum_buffer"}},
		Hyper: []Hyper{
			{"lr", 0.1, "learning rate"},
			{"momentum", 0.9, "share of the velocity that is kept"},
			{"weight_decay", 1e-4, "factor of the parameters added to their gradient"},
		},
		Options: []Option{{"nesterov", []string{"false", "true"}, "look ahead along the velocity"}},
		Update:  sgd,
	})
}

func sgd(s *State) (*ir.Value, map[string]*ir.Value) {
	g := s.decayedGrads()
	v := s.add(s.mul(s.Slots["momentum_buffer"], s.Hyper["momentum"]), g)
	step := v
	if s.Options["nesterov"] == "true" {
		step = s.add(g, s.mul(v, s.Hyper["momentum"]))
	}
	p := s.sub(s.Params, s.mul(step, s.Hyper["lr"]))
	return p, map[string]*ir.Value{"momentum_buffer": v}
}

package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// Adam: steps of about the learning rate, whatever the size of the gradients.
//
//	g ← ∇ + weight_decay·p                   (adam; adamw takes g ← ∇)
//	m ← β₁·m + (1 − β₁)·g
//	v ← β₂·v + (1 − β₂)·g²
//	w ← v, or with AMSGrad w ← max(w, v)
//	p ← p·(1 − lr·weight_decay)              (adamw)
//	p ← p − lr · m/(1 − β₁^t) / (√(w/(1 − β₂^t)) + ε)
//
// t counts updates from 1. Kingma & Ba 2015, "Adam: A Method for Stochastic
// Optimization", algorithm 1; AdamW: Loshchilov & Hutter 2019, "Decoupled
// Weight Decay Regularization", algorithm 2; AMSGrad: Reddi, Kale, Kumar 2018,
// "On the Convergence of Adam and Beyond", algorithm 2. All as in PyTorch: the
// maximum is of the uncorrected v.
func init() {
	register := func(name, description, source string, d Hyper, start func(*State) (p, g *ir.Value)) {
		Register(&Optimizer{
			Name: name, Description: description, Source: source,
			Slots: []Slot{
				{Name: "exp_avg"}, {Name: "exp_avg_sq"},
				{Name: "max_exp_avg_sq", When: When{"amsgrad", "true"}}},
			Hyper:   []Hyper{lr(1e-3), beta1(0.9), beta2(0.999), epsilon(1e-8), d, step()},
			Options: []Option{{"amsgrad", []string{"false", "true"}, "divide by the largest mean of squared gradients so far"}},
			Update: func(s *State) (*ir.Value, map[string]*ir.Value) {
				p, g := start(s)
				m := s.moments(g, s.on("amsgrad"))
				return s.sub(p, s.mul(m.direction(), s.Hyper[LR])), m.slots
			},
		})
	}
	register("adam", "Adam with L2 weight decay, AMSGrad on request", "Kingma & Ba 2015; Reddi et al. 2018",
		decay(0, coupledHelp), func(s *State) (p, g *ir.Value) { return s.Params, s.decayedGrads() })
	register("adamw", "Adam with decoupled weight decay, AMSGrad on request", "Loshchilov & Hutter 2019",
		decay(0.01, decoupledHelp), func(s *State) (p, g *ir.Value) { return s.shrunk(), s.Grads })
}

// moments are the running means that the family of Adam keeps.
type moments struct {
	s *State
	// first is m, root √v or, with a maximum, √w: neither is corrected.
	first, root *ir.Value
	slots       map[string]*ir.Value
}

// moments moves the slots exp_avg and exp_avg_sq by the gradient g and, if
// largest is set, max_exp_avg_sq.
func (s *State) moments(g *ir.Value, largest bool) moments {
	m := s.mean(s.Slots["exp_avg"], s.Hyper["beta1"], g)
	v := s.mean(s.Slots["exp_avg_sq"], s.Hyper["beta2"], s.mul(g, g))
	slots := map[string]*ir.Value{"exp_avg": m, "exp_avg_sq": v}
	if largest {
		v = s.max(s.Slots["max_exp_avg_sq"], v)
		slots["max_exp_avg_sq"] = v
	}
	return moments{s, m, s.sqrt(v), slots}
}

// direction returns m̂/(√v̂ + ε) with corrected means. The corrections are
// scalars and moved to where they cost no pass over a vector:
// c·m/(√v + ε·√c₂), c = √c₂/c₁.
func (m moments) direction() *ir.Value {
	s := m.s
	c2 := s.sqrt(s.correction(s.Hyper["beta2"]))
	c := s.div(c2, s.correction(s.Hyper["beta1"]))
	below := s.add(m.root, s.mul(s.Hyper["eps"], c2))
	return s.mul(s.div(m.first, below), c)
}

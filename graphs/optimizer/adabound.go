package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// AdaBound: Adam whose step size per parameter is clipped between bounds that
// close on a final rate, so that training begins as with Adam and ends as with
// SGD.
//
//	g ← ∇ + weight_decay·p
//	m ← β₁·m + (1 − β₁)·g
//	v ← β₂·v + (1 − β₂)·g²;  AMSBound: w ← max(w, v), else w = v
//	f = final_lr · lr/base_lr
//	η = clip(lr · √(1 − β₂^t)/(1 − β₁^t) / (√w + ε),
//	         f·(1 − 1/(γt + 1)), f·(1 + 1/(γt)))
//	p ← p − η·m
//
// Luo, Xiong, Liu, Sun 2019, "Adaptive Gradient Methods with Dynamic Bound of
// Learning Rate", algorithms 2 and 3, in the form of the authors' code, which
// scales the final rate with the schedule and corrects the bias. With
// decay: decoupled the gradient is not touched and weight_decay·p is taken off
// the parameters at each step, not scaled by lr: the authors' AdaBoundW.
func init() {
	for _, o := range []struct {
		name, description string
		largest           bool
	}{
		{"adabound", "Adam with step sizes clipped to bounds that close on SGD's", false},
		{"amsbound", "AdaBound over the largest mean of squared gradients so far", true},
	} {
		slots := []Slot{{Name: "exp_avg"}, {Name: "exp_avg_sq"}}
		if o.largest {
			slots = append(slots, Slot{Name: "max_exp_avg_sq"})
		}
		Register(&Optimizer{
			Name: o.name, Description: o.description, Source: "Luo et al. 2019",
			Slots: slots,
			Hyper: []Hyper{lr(1e-3), beta1(0.9), beta2(0.999), epsilon(1e-8),
				{Name: "final_lr", Default: 0.1, Help: "rate of SGD that the bounds close on", Bounds: Positive},
				{Name: "gamma", Default: 1e-3, Help: "speed at which the bounds close", Bounds: Positive},
				decay(0, "factor of the parameters added to their gradient or, decoupled, share taken off them"),
				{Name: BaseLR, Default: 1e-3, Help: "learning rate with which final_lr stands as it is", Bounds: Positive},
				step()},
			Options: []Option{{"decay", []string{"coupled", "decoupled"}, "how weight decay acts"}},
			Update: func(s *State) (*ir.Value, map[string]*ir.Value) {
				return adabound(s, o.largest)
			},
		})
	}
}

func adabound(s *State, largest bool) (*ir.Value, map[string]*ir.Value) {
	g, p := s.Grads, s.Params
	if s.Options["decay"] == "coupled" {
		g = s.decayedGrads()
	} else {
		p = s.sub(p, s.mul(s.decaying(p), s.Hyper[WeightDecay]))
	}
	m := s.moments(g, largest)
	lr := s.Hyper[LR]
	rate := s.div(s.mul(lr, s.sqrt(s.correction(s.Hyper["beta2"]))), s.correction(s.Hyper["beta1"]))
	// γt/(γt + 1) and (γt + 1)/γt: as above, without the cancellation.
	closing := s.mul(s.Hyper["gamma"], s.Hyper[Step])
	share := s.div(closing, s.add(closing, s.G.Scalar(1)))
	final := s.div(s.mul(s.Hyper["final_lr"], lr), s.Hyper[BaseLR])
	size := s.div(rate, s.add(m.root, s.Hyper["eps"]))
	size = s.min(s.max(size, s.mul(final, share)), s.div(final, share))
	return s.sub(p, s.mul(size, m.first)), m.slots
}

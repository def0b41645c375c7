package recipe

import (
	"math"

	"github.com/ortrain/ortrain/tricks/optimizer"
	"github.com/ortrain/ortrain/tricks/strict"
)

func clone(x *float64) *float64 {
	if x == nil {
		return nil
	}
	y := *x
	return &y
}

// resolveOptimizer fills in the optimizer's defaults and checks its keys and
// the gradient's. A name that is not known is reported by those who build it.
func (r *Recipe) resolveOptimizer() error {
	o := &r.Optimizer
	if rule, ok := optimizer.Lookup(o.Name); ok {
		if o.Momentum == nil {
			o.Momentum = rule.Momentum
		} else if rule.Momentum == nil {
			return strict.Errorf("optimizer.momentum", "%s has no momentum; leave the key out", o.Name)
		}
		if o.WeightDecay == nil {
			o.WeightDecay = clone(&rule.WeightDecay)
		}
	}
	if m := o.Momentum; m != nil && !(*m >= 0 && *m < 1) {
		return strict.Errorf("optimizer.momentum", "must be at least 0 and below 1, got %v", *m)
	}
	if d := o.WeightDecay; d != nil && !(*d >= 0 && *d <= math.MaxFloat32) {
		return strict.Errorf("optimizer.weight_decay", "must not be negative, got %v", *d)
	}
	if o.Nesterov && o.Momentum != nil && *o.Momentum == 0 {
		return strict.Errorf("optimizer.nesterov", "needs a momentum above 0")
	}
	return strict.Within("gradient", r.Gradient.Validate())
}

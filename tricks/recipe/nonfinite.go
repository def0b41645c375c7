package recipe

import (
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/strict"
)

// What a run does about a step whose loss or gradient is not finite.
const (
	// StopRun ends the run, with the state before the step in its checkpoint.
	StopRun = "stop"
	// SkipStep leaves the state as it is and goes on with the next batch.
	SkipStep = "skip"
	// RollBack returns to the last checkpoint and goes on with a lower rate.
	RollBack = "rollback"
)

var policies = []string{StopRun, SkipStep, RollBack}

// NonFinite says what happens when numbers go wrong; in YAML it is a mapping,
// or just the policy. The zero value means StopRun.
type NonFinite struct {
	// Policy is StopRun, SkipStep or RollBack.
	Policy string `yaml:"policy"`
	// Limit is the number of steps that a run may skip (0: 100), or of
	// checkpoints that it may return to (0: 3), before it stops after all.
	Limit int `yaml:"limit,omitempty"`
	// Factor multiplies the learning rate of the rest of the run at every
	// return, in (0, 1); 0 means 0.5.
	Factor float64 `yaml:"factor,omitempty"`
}

// SetScalar implements strict.Scalar.
func (n *NonFinite) SetScalar(policy string) { *n = NonFinite{Policy: policy} }

// IsZero makes an absent policy absent in YAML.
func (n NonFinite) IsZero() bool { return n == NonFinite{} }

// resolve checks the policy and completes it; stopping is written as nothing.
func (n *NonFinite) resolve() error {
	switch n.Policy {
	case "", StopRun:
		if n.Limit != 0 || n.Factor != 0 {
			return strict.Errorf("non_finite.policy", "is %s, which takes no limit and no factor; did you mean %s or %s?", StopRun, SkipStep, RollBack)
		}
		*n = NonFinite{}
		return nil
	case SkipStep:
		if n.Factor != 0 {
			return strict.Errorf("non_finite.factor", "lowers the rate of policy %s, the policy is %s", RollBack, SkipStep)
		}
		if n.Limit == 0 {
			n.Limit = 100
		}
	case RollBack:
		if n.Limit == 0 {
			n.Limit = 3
		}
		if n.Factor == 0 {
			n.Factor = 0.5
		}
		if !(n.Factor > 0 && n.Factor < 1) {
			return strict.Errorf("non_finite.factor", "must be above 0 and below 1, got %v", n.Factor)
		}
	default:
		return strict.Errorf("non_finite.policy", "unknown policy %q%s", n.Policy, nearest.Hint(n.Policy, policies))
	}
	if n.Limit < 1 {
		return strict.Errorf("non_finite.limit", "must be at least 1, got %d", n.Limit)
	}
	return nil
}

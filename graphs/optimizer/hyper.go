package optimizer

import (
	"fmt"
	"strconv"
)

// The names of the scalars that are fed by whoever trains, not set once for a
// rule.
const (
	// LR is the learning rate of the step.
	LR = "lr"
	// BaseLR is the learning rate that the schedule of LR starts from or
	// warms up to.
	BaseLR = "base_lr"
	// Step is the number of the update, from 1: the trainer's count of steps
	// plus one. A float32 counts exactly up to 2²⁴.
	Step = "step"
	// Momentum and WeightDecay have keys of their own in a recipe.
	Momentum    = "momentum"
	WeightDecay = "weight_decay"
)

// Reserved reports whether a scalar has a place of its own and is not given
// among a rule's options.
func Reserved(name string) bool {
	switch name {
	case LR, BaseLR, Step, Momentum, WeightDecay:
		return true
	}
	return false
}

// Hyper is a scalar that is fed at every step.
type Hyper struct {
	Name    string
	Default float32
	Help    string
	Bounds  Bounds
	// When says with which option the rule reads the scalar.
	When When
}

// Bounds is the range of a scalar.
type Bounds uint8

const (
	// NotNegative allows x ≥ 0.
	NotNegative Bounds = iota
	// Positive allows x > 0.
	Positive
	// Share allows 0 ≤ x < 1.
	Share
)

// Check reports a value outside the range; NaN always is.
func (b Bounds) Check(x float64) error {
	ok, want := x >= 0, "must not be negative"
	switch b {
	case Positive:
		ok, want = x > 0, "must be above 0"
	case Share:
		ok, want = x >= 0 && x < 1, "must be at least 0 and below 1"
	}
	if !ok {
		return fmt.Errorf("%s, got %g", want, x)
	}
	return nil
}

// parse reads a value as a user wrote it. Values are checked in float32, in
// which they are fed: a positive number that rounds to 0 is not positive.
func (h Hyper) parse(text string) (float32, error) {
	x, err := strconv.ParseFloat(text, 32)
	if err != nil {
		return 0, fmt.Errorf("expected a number, found %q", text)
	}
	return float32(x), h.Bounds.Check(x)
}

// The scalars that most rules share.
func lr(x float32) Hyper {
	return Hyper{Name: LR, Default: x, Help: "learning rate", Bounds: Positive}
}

func decay(x float32, help string) Hyper {
	return Hyper{Name: WeightDecay, Default: x, Help: help}
}

func momentum(x float32, help string) Hyper {
	return Hyper{Name: Momentum, Default: x, Help: help, Bounds: Share}
}

func beta1(x float32) Hyper {
	return Hyper{Name: "beta1", Default: x, Help: "share of the mean of gradients that is kept", Bounds: Share}
}

func beta2(x float32) Hyper {
	return Hyper{Name: "beta2", Default: x, Help: "share of the mean of squared gradients that is kept", Bounds: Share}
}

func epsilon(x float32) Hyper {
	return Hyper{Name: "eps", Default: x, Help: "added to the denominator"}
}

func step() Hyper {
	return Hyper{Name: Step, Default: 1, Help: "number of the update, from 1", Bounds: Positive}
}

const (
	coupledHelp   = "factor of the parameters added to their gradient"
	decoupledHelp = "share of the parameters, times lr, taken off them"
)

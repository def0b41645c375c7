package schedule

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed onecycle.md
var oneCycleCard string

func init() {
	Schedules.Register(tricks.Trick{
		Name:    "one_cycle",
		Summary: "up to the base learning rate and far down again, once",
		Card:    oneCycleCard,
	}, func() Options { return &OneCycleOptions{Rise: 0.3, Divisor: 25, FinalDivisor: 1e4} })
}

// OneCycle rises from Peak/Divisor to Peak over the share Rise of the steps
// and falls to Peak/(Divisor·FinalDivisor) at the last step (Smith and Topin
// 2018, "Super-Convergence", in the form of PyTorch's OneCycleLR).
type OneCycle struct {
	Peak, Rise, Divisor, FinalDivisor float64
	Steps                             int
	// Linear uses straight lines instead of half cosines.
	Linear bool
}

// LR implements Schedule.
func (o OneCycle) LR(step int) float64 {
	start := o.Peak / o.Divisor
	end := start / o.FinalDivisor
	// PyTorch's marks: the peak is at step Rise·Steps − 1 (not rounded), the
	// end at Steps − 1.
	top, last := o.Rise*float64(o.Steps)-1, float64(o.Steps-1)
	t := min(float64(max(step, 0)), last)
	switch {
	case t <= top && top > 0:
		return o.between(start, o.Peak, t/top)
	case last > top:
		return o.between(o.Peak, end, (t-max(top, 0))/(last-max(top, 0)))
	}
	return o.Peak
}

func (o OneCycle) between(from, to, x float64) float64 {
	if o.Linear {
		return from + (to-from)*x
	}
	return halfCosine(from, to, x)
}

// OneCycleOptions are the recipe keys of a one-cycle schedule.
type OneCycleOptions struct {
	// Rise is the share of the steps spent rising, in (0, 1).
	Rise float64 `yaml:"rise"`
	// Divisor is the peak over the first rate, at least 1.
	Divisor float64 `yaml:"divisor"`
	// FinalDivisor is the first rate over the last, at least 1.
	FinalDivisor float64 `yaml:"final_divisor"`
	// Linear uses straight lines instead of half cosines.
	Linear bool `yaml:"linear"`
}

// Validate implements Options.
func (o *OneCycleOptions) Validate() error {
	switch {
	case !(o.Rise > 0 && o.Rise < 1):
		return strict.Errorf("rise", "must be above 0 and below 1, got %v", o.Rise)
	case !(o.Divisor >= 1):
		return strict.Errorf("divisor", "must be at least 1, got %v", o.Divisor)
	case !(o.FinalDivisor >= 1):
		return strict.Errorf("final_divisor", "must be at least 1, got %v", o.FinalDivisor)
	}
	return nil
}

// Build implements Options.
func (o *OneCycleOptions) Build(s Span) (Schedule, error) {
	return OneCycle{
		Peak: s.LR, Rise: o.Rise, Divisor: o.Divisor, FinalDivisor: o.FinalDivisor,
		Steps: s.Steps, Linear: o.Linear,
	}, nil
}

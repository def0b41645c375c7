package schedule

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
)

//go:embed exponential.md
var exponentialCard string

func init() {
	Schedules.Register(tricks.Trick{
		Name:    "exponential",
		Summary: "times gamma per epoch, at every step or once an epoch",
		Card:    exponentialCard,
	}, func() Options { return &ExponentialOptions{Gamma: 0.95} })
}

// Exponential multiplies the rate by Gamma per epoch of StepsPerEpoch steps:
// smoothly, or in stairs once an epoch.
type Exponential struct {
	Base, Gamma   float64
	StepsPerEpoch int
	Stairs        bool
}

// LR implements Schedule.
func (e Exponential) LR(step int) float64 {
	epochs := float64(step) / float64(e.StepsPerEpoch)
	if e.Stairs {
		epochs = float64(step / e.StepsPerEpoch)
	}
	return e.Base * math.Pow(e.Gamma, epochs)
}

// ExponentialOptions are the recipe keys of an exponential schedule.
type ExponentialOptions struct {
	// Gamma is the factor per epoch, in (0, 1].
	Gamma float64 `yaml:"gamma"`
	// Stairs applies the factor once an epoch instead of at every step.
	Stairs bool `yaml:"stairs"`
}

// Validate implements Options.
func (o *ExponentialOptions) Validate() error { return inUnit("gamma", o.Gamma) }

// Build implements Options.
func (o *ExponentialOptions) Build(s Span) (Schedule, error) {
	return Exponential{Base: s.LR, Gamma: o.Gamma, StepsPerEpoch: s.StepsPerEpoch, Stairs: o.Stairs}, nil
}

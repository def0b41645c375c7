package schedule

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
)

//go:embed step.md
var stepCard string

func init() {
	Schedules.Register(tricks.Trick{
		Name:    "step",
		Summary: "times gamma every step_size epochs of the run",
		Card:    stepCard,
	}, func() Options { return &StepOptions{StepSize: 30, Gamma: 0.1} })
}

// Step multiplies the rate by Gamma every Every steps: Base·Gamma^⌊(t+Offset)/Every⌋.
type Step struct {
	Base, Gamma   float64
	Every, Offset int
}

// LR implements Schedule.
func (s Step) LR(step int) float64 {
	return s.Base * math.Pow(s.Gamma, float64((step+s.Offset)/s.Every))
}

// StepOptions are the recipe keys of a step schedule.
type StepOptions struct {
	// StepSize is the number of epochs between two drops, counted from the
	// start of the run (warm-up included). Fractions are allowed.
	StepSize float64 `yaml:"step_size"`
	// Gamma is the factor of each drop, in (0, 1].
	Gamma float64 `yaml:"gamma"`
}

// Validate implements Options.
func (o *StepOptions) Validate() error {
	if err := positive("step_size", o.StepSize); err != nil {
		return err
	}
	return inUnit("gamma", o.Gamma)
}

// Build implements Options.
func (o *StepOptions) Build(s Span) (Schedule, error) {
	if err := s.within("step_size", o.StepSize, s.InSteps(o.StepSize), s.Steps+s.Offset-1); err != nil {
		return nil, err
	}
	return Step{Base: s.LR, Gamma: o.Gamma, Every: max(1, s.InSteps(o.StepSize)), Offset: s.Offset}, nil
}

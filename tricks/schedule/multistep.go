package schedule

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed multistep.md
var multistepCard string

func init() {
	Schedules.Register(tricks.Trick{
		Name:    "multistep",
		Summary: "times gamma at each of the given epochs of the run",
		Card:    multistepCard,
	}, func() Options { return &MultistepOptions{Milestones: []float64{}, Gamma: 0.1} })
}

// Multistep multiplies the rate by Gamma at each milestone, a step number
// from which on the lower rate holds. Milestones ascend.
type Multistep struct {
	Base, Gamma float64
	Milestones  []int
}

// LR implements Schedule.
func (m Multistep) LR(step int) float64 {
	passed := 0
	for _, at := range m.Milestones {
		if step >= at {
			passed++
		}
	}
	return m.Base * math.Pow(m.Gamma, float64(passed))
}

// MultistepOptions are the recipe keys of a multistep schedule.
type MultistepOptions struct {
	// Milestones are ascending epochs counted from the start of the run
	// (warm-up included), fractions allowed. None given means half and three
	// quarters of the run, as He et al. 2015 train on CIFAR-10.
	Milestones []float64 `yaml:"milestones,flow"`
	// Gamma is the factor at each milestone, in (0, 1].
	Gamma float64 `yaml:"gamma"`
}

// Validate implements Options.
func (o *MultistepOptions) Validate() error {
	last := 0.0
	for _, m := range o.Milestones {
		if !(m > last) {
			return strict.Errorf("milestones", "must be positive and ascending, got %v", o.Milestones)
		}
		last = m
	}
	return inUnit("gamma", o.Gamma)
}

// Build implements Options.
func (o *MultistepOptions) Build(s Span) (Schedule, error) {
	run := s.Steps + s.Offset
	ms := Multistep{Base: s.LR, Gamma: o.Gamma}
	if len(o.Milestones) == 0 {
		ms.Milestones = []int{run/2 - s.Offset, run*3/4 - s.Offset}
	}
	for _, m := range o.Milestones {
		if err := s.within("milestones", m, s.InSteps(m), run-1); err != nil {
			return nil, err
		}
		ms.Milestones = append(ms.Milestones, s.InSteps(m)-s.Offset)
	}
	return ms, nil
}

package schedule

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
)

//go:embed cosine.md
var cosineCard string

func init() {
	Schedules.Register(tricks.Trick{
		Name:    "cosine",
		Summary: "half a cosine from the base learning rate to a floor, warm-up not counted",
		Card:    cosineCard,
	}, func() Options { return &CosineOptions{} })
}

// Cosine decays from Base at step 0 to Floor at step Steps along half a
// cosine (He et al. 2018, "Bag of Tricks", §5.1).
type Cosine struct {
	Base, Floor float64
	Steps       int
}

// LR implements Schedule.
func (c Cosine) LR(step int) float64 {
	return halfCosine(c.Base, c.Floor, fraction(step, c.Steps))
}

// halfCosine goes from high at x = 0 to low at x = 1.
func halfCosine(high, low, x float64) float64 {
	return low + (high-low)*(1+math.Cos(math.Pi*x))/2
}

// fraction returns step/steps within [0, 1].
func fraction(step, steps int) float64 {
	if step >= steps {
		return 1
	}
	return float64(max(step, 0)) / float64(steps)
}

// CosineOptions are the recipe keys of a cosine schedule.
type CosineOptions struct {
	// Floor is the final learning rate (not a fraction of the base).
	Floor float64 `yaml:"floor"`
}

// Validate implements Options.
func (o *CosineOptions) Validate() error { return notNegative("floor", o.Floor) }

// Build implements Options.
func (o *CosineOptions) Build(s Span) (Schedule, error) {
	if err := checkFloor(o.Floor, s); err != nil {
		return nil, err
	}
	return Cosine{Base: s.LR, Floor: o.Floor, Steps: s.Steps}, nil
}

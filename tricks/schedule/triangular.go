package schedule

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed triangular.md
var triangularCard string

func init() {
	Schedules.Register(tricks.Trick{
		Name:    "triangular",
		Summary: "up and down between two learning rates again and again",
		Card:    triangularCard,
	}, func() Options { return &TriangularOptions{Low: 0.1, Half: 4, Decay: 1} })
}

// Triangular goes from Low to Peak in Half steps and back in as many, again
// and again; each cycle's height above Low is Decay times the one before
// (Smith 2017, "Cyclical Learning Rates", §3: Decay 1 is triangular, ½ is
// triangular2).
type Triangular struct {
	Low, Peak, Decay float64
	Half             int
}

// LR implements Schedule.
func (t Triangular) LR(step int) float64 {
	cycle := step / (2 * t.Half)
	x := float64(step%(2*t.Half)) / float64(t.Half)
	return t.Low + (t.Peak-t.Low)*(1-math.Abs(x-1))*math.Pow(t.Decay, float64(cycle))
}

// TriangularOptions are the recipe keys of a triangular schedule.
type TriangularOptions struct {
	// Low is the lowest rate as a fraction of the base rate, in [0, 1).
	Low float64 `yaml:"low"`
	// Half is half a cycle in epochs, fractions allowed.
	Half float64 `yaml:"half_cycle"`
	// Decay is the height of a cycle over the one before, in (0, 1].
	Decay float64 `yaml:"decay"`
}

// Validate implements Options.
func (o *TriangularOptions) Validate() error {
	if !(o.Low >= 0 && o.Low < 1) {
		return strict.Errorf("low", "a fraction of the base rate, at least 0 and below 1, got %v", o.Low)
	}
	if err := positive("half_cycle", o.Half); err != nil {
		return err
	}
	return inUnit("decay", o.Decay)
}

// Build implements Options.
func (o *TriangularOptions) Build(s Span) (Schedule, error) {
	if err := s.within("half_cycle", o.Half, s.InSteps(o.Half), s.Steps); err != nil {
		return nil, err
	}
	return Triangular{Low: o.Low * s.LR, Peak: s.LR, Decay: o.Decay, Half: max(1, s.InSteps(o.Half))}, nil
}

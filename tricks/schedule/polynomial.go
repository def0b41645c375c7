package schedule

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
)

//go:embed polynomial.md
var polynomialCard string

func init() {
	Schedules.Register(tricks.Trick{
		Name:    "polynomial",
		Summary: "a power of the remaining share of the run; power 1 is a straight line",
		Card:    polynomialCard,
	}, func() Options { return &PolynomialOptions{Power: 1} })
}

// Polynomial decays from Base at step 0 to Floor at step Steps as
// (1 − t/Steps)^Power.
type Polynomial struct {
	Base, Floor, Power float64
	Steps              int
}

// LR implements Schedule.
func (p Polynomial) LR(step int) float64 {
	return p.Floor + (p.Base-p.Floor)*math.Pow(1-fraction(step, p.Steps), p.Power)
}

// PolynomialOptions are the recipe keys of a polynomial schedule.
type PolynomialOptions struct {
	// Power is above 0.
	Power float64 `yaml:"power"`
	// Floor is the final learning rate (not a fraction of the base).
	Floor float64 `yaml:"floor"`
}

// Validate implements Options.
func (o *PolynomialOptions) Validate() error {
	if err := positive("power", o.Power); err != nil {
		return err
	}
	return notNegative("floor", o.Floor)
}

// Build implements Options.
func (o *PolynomialOptions) Build(s Span) (Schedule, error) {
	if err := checkFloor(o.Floor, s); err != nil {
		return nil, err
	}
	return Polynomial{Base: s.LR, Floor: o.Floor, Power: o.Power, Steps: s.Steps}, nil
}

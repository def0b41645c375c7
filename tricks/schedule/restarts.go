package schedule

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed restarts.md
var restartsCard string

func init() {
	Schedules.Register(tricks.Trick{
		Name:    "restarts",
		Summary: "cosine that starts again, each time for longer (SGDR)",
		Card:    restartsCard,
	}, func() Options { return &RestartsOptions{First: 10, Growth: 2} })
}

// Restarts is a cosine decay that restarts after First steps, then after
// Growth times as many as before (Loshchilov and Hutter 2016, "SGDR", eq. 5).
type Restarts struct {
	Base, Floor float64
	First       int
	Growth      int
}

// LR implements Schedule.
func (r Restarts) LR(step int) float64 {
	t, period := step, r.First
	if r.Growth == 1 {
		t %= period
	}
	for t >= period {
		t -= period
		period *= r.Growth
	}
	return halfCosine(r.Base, r.Floor, fraction(t, period))
}

// RestartsOptions are the recipe keys of a schedule with warm restarts.
type RestartsOptions struct {
	// First is the length of the first cycle in epochs, fractions allowed.
	First float64 `yaml:"first"`
	// Growth is the length of a cycle over the one before, 1 to 1000.
	Growth int `yaml:"growth"`
	// Floor is the rate that every cycle approaches.
	Floor float64 `yaml:"floor"`
}

// Validate implements Options.
func (o *RestartsOptions) Validate() error {
	if err := positive("first", o.First); err != nil {
		return err
	}
	if o.Growth < 1 || o.Growth > 1000 {
		return strict.Errorf("growth", "must be 1 to 1000, got %d", o.Growth)
	}
	return notNegative("floor", o.Floor)
}

// Build implements Options.
func (o *RestartsOptions) Build(s Span) (Schedule, error) {
	if err := checkFloor(o.Floor, s); err != nil {
		return nil, err
	}
	if err := s.within("first", o.First, s.InSteps(o.First), s.Steps); err != nil {
		return nil, err
	}
	return Restarts{Base: s.LR, Floor: o.Floor, First: max(1, s.InSteps(o.First)), Growth: o.Growth}, nil
}

package schedule

import (
	_ "embed" // the card
	"encoding/json"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed untilerror.md
var untilErrorCard string

func init() {
	Warmups.RegisterAs("until_error", tricks.Trick{
		Name:    "until_error_warmup",
		Summary: "a fixed fraction of the base learning rate until the training error falls below a bound",
		Card:    untilErrorCard,
	}, func() WarmupOptions { return &UntilErrorOptions{Factor: 0.1, Error: 0.8} })
}

// UntilError holds the rate Rate until a training error below Bound is
// observed (He et al. 2015, "Deep Residual Learning", §4.2: 0.01 until the
// error is below 80 %, then 0.1). After runs on the clock of the run, since
// the switch cannot be planned.
type UntilError struct {
	Rate, Bound float64
	After       Schedule

	switched bool
	at       int
}

// LR implements Schedule.
func (u *UntilError) LR(step int) float64 {
	if !u.switched || step < u.at {
		return u.Rate
	}
	return u.After.LR(step)
}

// Unwrap implements Wrapper.
func (u *UntilError) Unwrap() (Schedule, int) { return u.After, 0 }

// Switched returns the step from which on After is in charge, and whether
// there is one yet.
func (u *UntilError) Switched() (step int, ok bool) { return u.at, u.switched }

// Watches implements Observer.
func (u *UntilError) Watches() string { return TrainError }

// Observe implements Observer. It reads train_error.
func (u *UntilError) Observe(step int, m Metrics) {
	if e, ok := m[TrainError]; ok && !u.switched && e < u.Bound {
		u.switched, u.at = true, step
	}
}

type untilErrorState struct {
	// Switch is the first step after the warm-up; nil before the switch.
	Switch *int `json:"switch"`
}

// MarshalJSON implements Observer.
func (u *UntilError) MarshalJSON() ([]byte, error) {
	var s untilErrorState
	if u.switched {
		s.Switch = &u.at
	}
	return json.Marshal(s)
}

// UnmarshalJSON implements Observer.
func (u *UntilError) UnmarshalJSON(text []byte) error {
	var s untilErrorState
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	u.switched, u.at = s.Switch != nil, 0
	if u.switched {
		u.at = *s.Switch
	}
	return nil
}

// UntilErrorOptions are the recipe keys of the warm-up.
type UntilErrorOptions struct {
	// Factor is the fraction of the base rate, in (0, 1].
	Factor float64 `yaml:"factor"`
	// Error is the bound on the training error, a fraction in (0, 1].
	Error float64 `yaml:"error"`
}

// Validate implements WarmupOptions.
func (o *UntilErrorOptions) Validate() error {
	if err := inUnit("factor", o.Factor); err != nil {
		return err
	}
	if !(o.Error > 0 && o.Error <= 1) {
		return strict.Errorf("error", "a fraction above 0 and at most 1, got %v", o.Error)
	}
	return nil
}

// Length implements WarmupOptions: the schedule that follows keeps the run's
// clock.
func (*UntilErrorOptions) Length(int) int { return 0 }

// Peak implements WarmupOptions.
func (*UntilErrorOptions) Peak() float64 { return 1 }

// Wrap implements WarmupOptions.
func (o *UntilErrorOptions) Wrap(s Span, after Schedule) Schedule {
	return &UntilError{Rate: o.Factor * s.LR, Bound: o.Error, After: after}
}

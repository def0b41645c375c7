package schedule

import "github.com/ortrain/ortrain/tricks/strict"

// WarmupOptions are the settings of one kind of warm-up as a recipe gives
// them: a pointer to a struct with yaml tags.
type WarmupOptions interface {
	// Validate checks the values on their own.
	Validate() error
	// Length returns the number of steps before the schedule that follows
	// starts its own clock.
	Length(stepsPerEpoch int) int
	// Peak returns the factor on the base rate of the schedule that follows.
	Peak() float64
	// Wrap returns the warm-up handing over to after, which covers the span.
	Wrap(span Span, after Schedule) Schedule
}

// Timed is a WarmupOptions with a planned length.
type Timed interface {
	// SetEpochs sets the length, for a recipe that does not.
	SetEpochs(epochs float64)
}

// duration is the length of a warm-up, in epochs (fractions allowed) or in
// steps; the options structs of warm-ups repeat its two keys.
type duration struct {
	epochs float64
	steps  int
}

func (d duration) validate() error {
	switch {
	case !(d.epochs >= 0 && d.epochs <= mostEpochs):
		return strict.Errorf("epochs", "must be 0 to %d, got %v", mostEpochs, d.epochs)
	case d.steps < 0:
		return strict.Errorf("steps", "must not be negative, got %d", d.steps)
	case d.steps > 0 && d.epochs > 0:
		return strict.Errorf("steps", "give epochs or steps, not both")
	}
	return nil
}

func (d duration) length(stepsPerEpoch int) int {
	if d.steps > 0 {
		return d.steps
	}
	return inSteps(d.epochs, stepsPerEpoch)
}

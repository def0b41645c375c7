package schedule

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed gradual.md
var gradualCard string

func init() {
	Warmups.RegisterAs("gradual", tricks.Trick{
		Name:    "gradual_warmup",
		Summary: "a straight line up to the schedule that follows, advancing every step",
		Card:    gradualCard,
	}, func() WarmupOptions { return &GradualOptions{} })
}

// Gradual rises linearly from From·After.LR(0) at step 0 to After.LR(0) at
// step Steps, where After takes over at its own step 0: the seam is
// continuous (Goyal et al. 2017, "Accurate, Large Minibatch SGD", §2.2).
type Gradual struct {
	Steps int
	// From is the start as a fraction of After.LR(0), in [0, 1].
	From  float64
	After Schedule
}

// LR implements Schedule.
func (g Gradual) LR(step int) float64 {
	if step >= g.Steps {
		return g.After.LR(step - g.Steps)
	}
	return g.After.LR(0) * (g.From + (1-g.From)*fraction(step, g.Steps))
}

// Unwrap implements Wrapper.
func (g Gradual) Unwrap() (Schedule, int) { return g.After, g.Steps }

// GradualOptions are the recipe keys of a gradual warm-up.
type GradualOptions struct {
	Epochs float64 `yaml:"epochs"`
	Steps  int     `yaml:"steps"`
	// From is the first rate as a fraction of the peak, in [0, 1): 0 starts
	// from zero, 1/k from the peak over k.
	From float64 `yaml:"from"`
	// Multiplier k ≥ 1 makes k·lr the peak and lr the start, the form in
	// which a reference rate is scaled to k workers. 1 leaves From in charge.
	Multiplier float64 `yaml:"multiplier,omitempty"`
}

// Validate implements WarmupOptions.
func (o *GradualOptions) Validate() error {
	switch {
	case !(o.From >= 0 && o.From < 1):
		return strict.Errorf("from", "a fraction of the peak, at least 0 and below 1, got %v", o.From)
	case o.Multiplier != 0 && !(o.Multiplier > 1):
		return strict.Errorf("multiplier", "must be above 1, got %v; leave it out to warm up to lr itself", o.Multiplier)
	case o.Multiplier != 0 && o.From != 0:
		return strict.Errorf("from", "give from or multiplier, not both: with a multiplier the start is lr")
	}
	return o.duration().validate()
}

func (o *GradualOptions) duration() duration { return duration{o.Epochs, o.Steps} }

// Length implements WarmupOptions.
func (o *GradualOptions) Length(stepsPerEpoch int) int { return o.duration().length(stepsPerEpoch) }

// SetEpochs implements Timed.
func (o *GradualOptions) SetEpochs(epochs float64) { o.Epochs = epochs }

// Peak implements WarmupOptions.
func (o *GradualOptions) Peak() float64 { return max(o.Multiplier, 1) }

// Wrap implements WarmupOptions.
func (o *GradualOptions) Wrap(s Span, after Schedule) Schedule {
	from := o.From
	if o.Multiplier > 1 {
		from = 1 / o.Multiplier
	}
	return Gradual{Steps: s.Offset, From: from, After: after}
}

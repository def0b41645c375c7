package schedule

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
)

//go:embed constantwarmup.md
var constantWarmupCard string

func init() {
	Warmups.RegisterAs("constant", tricks.Trick{
		Name:    "constant_warmup",
		Summary: "a fixed fraction of the base learning rate for a fixed number of steps",
		Card:    constantWarmupCard,
	}, func() WarmupOptions { return &ConstantWarmupOptions{Factor: 0.1} })
}

// Low holds the rate Rate for Steps steps, then After takes over at its own
// step 0 (He et al. 2015, "Deep Residual Learning", §4.2, in the form of a
// fixed number of steps).
type Low struct {
	Rate  float64
	Steps int
	After Schedule
}

// LR implements Schedule.
func (l Low) LR(step int) float64 {
	if step < l.Steps {
		return l.Rate
	}
	return l.After.LR(step - l.Steps)
}

// Unwrap implements Wrapper.
func (l Low) Unwrap() (Schedule, int) { return l.After, l.Steps }

// ConstantWarmupOptions are the recipe keys of a constant warm-up.
type ConstantWarmupOptions struct {
	Epochs float64 `yaml:"epochs"`
	Steps  int     `yaml:"steps"`
	// Factor is the fraction of the base rate, in (0, 1].
	Factor float64 `yaml:"factor"`
}

// Validate implements WarmupOptions.
func (o *ConstantWarmupOptions) Validate() error {
	if err := inUnit("factor", o.Factor); err != nil {
		return err
	}
	return o.duration().validate()
}

func (o *ConstantWarmupOptions) duration() duration { return duration{o.Epochs, o.Steps} }

// Length implements WarmupOptions.
func (o *ConstantWarmupOptions) Length(stepsPerEpoch int) int {
	return o.duration().length(stepsPerEpoch)
}

// SetEpochs implements Timed.
func (o *ConstantWarmupOptions) SetEpochs(epochs float64) { o.Epochs = epochs }

// Peak implements WarmupOptions.
func (o *ConstantWarmupOptions) Peak() float64 { return 1 }

// Wrap implements WarmupOptions.
func (o *ConstantWarmupOptions) Wrap(s Span, after Schedule) Schedule {
	return Low{Rate: o.Factor * s.LR, Steps: s.Offset, After: after}
}

package average

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed ema.md
var emaCard string

func init() {
	Averagers.Register(tricks.Trick{
		Name:    "ema",
		Summary: "evaluate an exponential moving average of the weights",
		Card:    emaCard,
	}, func() Options { return &EMAOptions{Decay: 0.999, Warmup: true, Every: 1} })
}

// EMA is avg ← d·avg + (1−d)·weights after every Every-th step, with d = Decay,
// or with Warmup min(Decay, (1+n)/(10+n)) for the n-th update, so that early
// weights are soon forgotten.
type EMA struct {
	Decay  float64
	Warmup bool
	Every  int
}

// EveryStep implements Averager.
func (EMA) EveryStep() bool { return true }

// Share implements Averager.
func (e EMA) Share(step int) float32 {
	if (step+1)%e.Every != 0 {
		return 0
	}
	return float32(1 - e.decay(step/e.Every))
}

// decay returns the factor of update n, from 0.
func (e EMA) decay(n int) float64 {
	if e.Warmup {
		return min(e.Decay, float64(1+n)/float64(10+n))
	}
	return e.Decay
}

// EpochEnd implements Averager.
func (EMA) EpochEnd(_, _ []float32, _, _ int) {}

// Started implements Averager.
func (EMA) Started(epochsDone, _ int) bool { return epochsDone > 0 }

// RecomputeStats implements Averager: the statistics are averaged as well, as
// timm does with all buffers.
func (EMA) RecomputeStats() bool { return false }

// EMAOptions are the recipe keys of EMA.
type EMAOptions struct {
	// Decay is the share that an update keeps, in [0, 1).
	Decay float64 `yaml:"decay"`
	// Warmup starts with smaller decays.
	Warmup bool `yaml:"warmup"`
	// Every is the number of steps between updates.
	Every int `yaml:"every"`
}

// Validate implements Options.
func (o *EMAOptions) Validate() error {
	if !(o.Decay >= 0 && o.Decay < 1) {
		return strict.Errorf("decay", "must be at least 0 and below 1, got %v", o.Decay)
	}
	if o.Every < 1 {
		return strict.Errorf("every", "must be at least 1 step, got %d", o.Every)
	}
	return nil
}

// Build implements Options.
func (o *EMAOptions) Build() Averager { return EMA(*o) }

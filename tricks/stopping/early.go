package stopping

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed early.md
var earlyCard string

func init() {
	Rules.Register(tricks.Trick{
		Name:    "early_stopping",
		Summary: "end the run when held-out images have not improved for some epochs",
		Card:    earlyCard,
	}, func() Options {
		return &EarlyOptions{Metric: Loss, Patience: 10, Restore: true}
	})
}

// The figures that early stopping may watch.
const (
	Loss     = "loss"
	Accuracy = "accuracy"
)

// Early stops after Patience epochs without an improvement by more than
// MinDelta.
type Early struct {
	Metric   string
	Patience int
	MinDelta float64
	Restore  bool
}

// Observe implements Rule.
func (e Early) Observe(s *State, epoch int, loss, accuracy float64) {
	better, value := loss < s.Best-e.MinDelta, loss
	if e.Metric == Accuracy {
		better, value = accuracy > s.Best+e.MinDelta, accuracy
	}
	if better || !s.Any {
		*s = State{Any: true, Best: value, BestEpoch: epoch}
		return
	}
	s.Since++
}

// Stop implements Rule.
func (e Early) Stop(s State) bool { return s.Since >= e.Patience }

// RestoreBest implements Rule.
func (e Early) RestoreBest() bool { return e.Restore }

// EarlyOptions are the recipe keys of early stopping.
type EarlyOptions struct {
	// Metric is "loss" or "accuracy", of the held-out images.
	Metric string `yaml:"metric"`
	// Patience is in epochs.
	Patience int `yaml:"patience"`
	// MinDelta is the smallest change that counts as an improvement.
	MinDelta float64 `yaml:"min_delta"`
	// Restore ends the run with the best epoch's state.
	Restore bool `yaml:"restore_best"`
}

// Validate implements Options.
func (o *EarlyOptions) Validate() error {
	if o.Metric != Loss && o.Metric != Accuracy {
		return strict.Errorf("metric", "unknown metric %q%s", o.Metric, nearest.Hint(o.Metric, []string{Loss, Accuracy}))
	}
	if o.Patience < 1 {
		return strict.Errorf("patience", "must be at least 1 epoch, got %d", o.Patience)
	}
	if !(o.MinDelta >= 0) {
		return strict.Errorf("min_delta", "must not be negative, got %v", o.MinDelta)
	}
	return nil
}

// Build implements Options.
func (o *EarlyOptions) Build() Rule {
	return Early{Metric: o.Metric, Patience: o.Patience, MinDelta: o.MinDelta, Restore: o.Restore}
}

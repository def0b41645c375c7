// Package average keeps an average of the weights beside the weights that are
// trained. The average is what is evaluated and exported; training never sees
// it.
package average

import "github.com/ortrain/ortrain/tricks"

// Averager updates an average of flat vectors in place. It is immutable; all
// that changes lies in the vectors and in the counters the caller passes, so a
// resumed run averages as an uninterrupted one.
type Averager interface {
	// EveryStep tells whether steps move the average, and not only the ends of
	// epochs.
	EveryStep() bool
	// Share is how far optimizer step number step (from 0) moves the average:
	// by this share of the way to the weights (Towards), before any EpochEnd of
	// the same step. 0 leaves it.
	Share(step int) float32
	// EpochEnd is called after epoch number epoch (from 0) of epochs.
	EpochEnd(avg, weights []float32, epoch, epochs int)
	// Started reports whether the average differs from the weights after the
	// given number of complete epochs: before, the weights are evaluated.
	Started(epochsDone, epochs int) bool
	// RecomputeStats tells whether the running statistics of norms do not fit
	// the averaged weights and must be measured anew before they are used.
	// Otherwise the statistics are averaged like the weights.
	RecomputeStats() bool
}

// Options are the settings of one averager as a recipe gives them: a pointer
// to a struct with yaml tags. Errors are about a key of the struct
// (strict.Errorf).
type Options interface {
	Validate() error
	Build() Averager
}

// Averagers is the registry of this package.
var Averagers = tricks.NewRegistry[Options](tricks.Regularisation)

// Towards moves avg a share of the way to weights: avg += share·(weights−avg).
func Towards(avg, weights []float32, share float32) {
	for i, w := range weights {
		avg[i] += share * (w - avg[i])
	}
}

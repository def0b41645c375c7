package average

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed swa.md
var swaCard string

func init() {
	Averagers.Register(tricks.Trick{
		Name:    "swa",
		Summary: "average the weights at the ends of the last epochs",
		Card:    swaCard,
	}, func() Options { return &SWAOptions{Start: 0.75} })
}

// SWA is the mean of the weights at the end of every epoch from the share Start
// of the run on (Izmailov et al. 2018).
type SWA struct{ Start float64 }

// first returns the first epoch, from 0, whose end is averaged.
func (s SWA) first(epochs int) int {
	return min(int(s.Start*float64(epochs)), epochs-1)
}

// EveryStep implements Averager.
func (SWA) EveryStep() bool { return false }

// Share implements Averager.
func (SWA) Share(int) float32 { return 0 }

// EpochEnd implements Averager.
func (s SWA) EpochEnd(avg, weights []float32, epoch, epochs int) {
	if n := epoch - s.first(epochs) + 1; n == 1 {
		copy(avg, weights)
	} else if n > 1 {
		Towards(avg, weights, 1/float32(n))
	}
}

// Started implements Averager: the average is used once it is complete, since
// every use costs a pass over the training images.
func (s SWA) Started(epochsDone, epochs int) bool { return epochsDone >= epochs }

// RecomputeStats implements Averager.
func (SWA) RecomputeStats() bool { return true }

// SWAOptions are the recipe keys of SWA.
type SWAOptions struct {
	// Start is the share of the run before averaging begins, in [0, 1).
	Start float64 `yaml:"start"`
}

// Validate implements Options.
func (o *SWAOptions) Validate() error {
	if !(o.Start >= 0 && o.Start < 1) {
		return strict.Errorf("start", "must be at least 0 and below 1, a share of the run, got %v", o.Start)
	}
	return nil
}

// Build implements Options.
func (o *SWAOptions) Build() Averager { return SWA(*o) }

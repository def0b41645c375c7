package sampling

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed classbalanced.md
var classBalancedCard string

func init() {
	Samplings.Register(tricks.Trick{
		Name:    "class_balanced",
		Summary: "show every class equally often, or between that and as often as it has images",
		Card:    classBalancedCard,
	}, func() Options { return &ClassBalancedOptions{} })
}

// ClassBalancedOptions are the recipe keys of class-balanced sampling. A class
// of n images has a share of n^Power (Mahajan et al. 2018, "Exploring the
// limits of weakly supervised pretraining", use ½).
type ClassBalancedOptions struct {
	// Power is 0 for equal shares to 1 for those of the data.
	Power float64 `yaml:"power"`
}

// Validate implements Options.
func (o *ClassBalancedOptions) Validate() error {
	if !(o.Power >= 0 && o.Power <= 1) {
		return strict.Errorf("power", "must be 0 (every class alike) to 1 (as the data), got %v", o.Power)
	}
	return nil
}

// Build implements Options.
func (o *ClassBalancedOptions) Build(info Info) (Sampling, error) {
	n := counts(info)
	shares := make([]float64, len(n))
	for c := range n {
		if n[c] > 0 {
			shares[c] = math.Pow(float64(n[c]), o.Power)
		}
	}
	return newByClass(info, n, shares), nil
}

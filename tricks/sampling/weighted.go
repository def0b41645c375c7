package sampling

import (
	_ "embed" // the card
	"math"
	"sort"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed weighted.md
var weightedCard string

func init() {
	Samplings.Register(tricks.Trick{
		Name:    "weighted",
		Summary: "show images in proportion to the weights of their classes",
		Card:    weightedCard,
	}, func() Options { return &WeightedOptions{} })
}

// WeightedOptions are the recipe keys of weighted sampling.
type WeightedOptions struct {
	// Weights, one a class and not below 0, say how often an image of the
	// class comes up beside one of another class.
	Weights []float64 `yaml:"weights,flow"`
}

// Validate implements Options.
func (o *WeightedOptions) Validate() error {
	if len(o.Weights) == 0 {
		return strict.Errorf("weights", "needs a list with one weight a class")
	}
	for c, w := range o.Weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			return strict.Errorf("weights", "must be 0 or more, got %v for class %d", w, c)
		}
	}
	return nil
}

// Build implements Options.
func (o *WeightedOptions) Build(info Info) (Sampling, error) {
	if len(o.Weights) != info.Classes {
		return nil, strict.Errorf("weights", "%d weights for the data's %d classes", len(o.Weights), info.Classes)
	}
	n := counts(info)
	shares, sum := make([]float64, len(n)), 0.0
	for c, w := range o.Weights {
		shares[c] = w * float64(n[c])
		sum += shares[c]
	}
	if sum == 0 {
		return nil, strict.Errorf("weights", "no training image has a weight above 0")
	}
	return newByClass(info, n, shares), nil
}

// ByImage shows images in proportion to weights of their own, one an image:
// each comes up in an epoch its expected number of times, rounded up or down.
type ByImage struct {
	sums []float64 // of the weights up to and including each image's
}

// NewByImage returns the sampling of a set of as many images as there are
// weights. Weights are not below 0, and some are above.
func NewByImage(weights []float64) (*ByImage, error) {
	sums, sum := make([]float64, len(weights)), 0.0
	for i, w := range weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			return nil, strict.Errorf("weights", "must be 0 or more, got %v for image %d", w, i)
		}
		sum += w
		sums[i] = sum
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		return nil, strict.Errorf("weights", "their sum is %v", sum)
	}
	return &ByImage{sums}, nil
}

// Epoch implements Sampling: as many equidistant marks as there are images are
// laid over the sums of the weights, beginning at a random place (systematic
// sampling), and come in a random order.
func (b *ByImage) Epoch(seed uint64, epoch int) Order {
	n := len(b.sums)
	key := rng.Mix(seed, uint64(epoch), uint64(dealKey))
	offset := float64(rng.Mix(key, 1)>>11) / (1 << 53)
	return &markOrder{b, offset, rng.NewKeyedPermutation(n, key)}
}

type markOrder struct {
	*ByImage
	offset float64
	deal   rng.Permutation
}

// At implements Order.
func (o *markOrder) At(position int) int {
	n := len(o.sums)
	mark := (float64(o.deal.At(position)) + o.offset) / float64(n) * o.sums[n-1]
	return min(sort.Search(n, func(i int) bool { return o.sums[i] > mark }), n-1)
}

package pixel

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/pixel/policy"
	"github.com/ortrain/ortrain/tricks/rng"
)

//go:embed randaugment.md
var randAugmentCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "randaugment",
		Summary: "n random operations at one magnitude",
		Card:    randAugmentCard,
	}, func() Options {
		return &RandAugmentOptions{N: 2, Magnitude: 9, Bins: 31, Fill: "black", Interpolation: "nearest"}
	})
}

// RandAugment applies N operations drawn uniformly, with replacement, from
// the space's, all at one magnitude (Cubuk et al. 2019, "RandAugment:
// Practical automated data augmentation with a reduced search space").
type RandAugment struct {
	N         int
	Magnitude float64 // the level of the space
	Space     *policy.Space
	Painter   policy.Painter
}

// Size implements Transform.
func (RandAugment) Size(in Size) Size { return in }

// Sample implements Transform. The slots are those of a list of steps.
func (a RandAugment) Sample(r *rng.Stream, in Size) (p Params) {
	ops := a.Space.Ops()
	for range a.N {
		p.addStep(r, a.Space, ops[r.IntN(len(ops))], a.Magnitude, in)
	}
	p.Skip = p.Int[0] == 0
	return p
}

// Apply implements Pixels.
func (a RandAugment) Apply(dst, src *Image, p *Params) { runSteps(a.Painter, dst, src, p) }

// RandAugmentOptions are the recipe keys of RandAugment.
type RandAugmentOptions struct {
	// N is the number of operations, 1 to 7.
	N int `yaml:"n"`
	// Magnitude is 0 (weakest) to Bins−1 and need not be whole.
	Magnitude float64 `yaml:"magnitude"`
	// Bins is the number of levels of the ranges.
	Bins int `yaml:"bins"`
	// Fill is black, grey, mean or #rrggbb.
	Fill string `yaml:"fill"`
	// Interpolation is "nearest" or "bilinear".
	Interpolation string `yaml:"interpolation"`
}

// Validate implements Options.
func (o *RandAugmentOptions) Validate() error {
	return first(
		checkCount("n", o.N, 1, maxSteps),
		checkCount("bins", o.Bins, 2, 1000),
		checkWithin("magnitude", o.Magnitude, 0, float64(o.Bins-1)),
		checkFill(o.Fill),
		checkName("interpolation", "interpolation", o.Interpolation, "nearest", "bilinear"),
	)
}

// Build implements Options.
func (o *RandAugmentOptions) Build(info Info) (Transform, error) {
	return RandAugment{
		N: o.N, Magnitude: o.Magnitude, Space: policy.Torchvision(info.In.W, info.In.H, o.Bins),
		Painter: policy.Painter{Filter: filters[o.Interpolation], Outside: fillColour(o.Fill, info)},
	}, nil
}

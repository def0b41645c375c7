package pixel

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/pixel/policy"
	"github.com/ortrain/ortrain/tricks/rng"
)

//go:embed trivialaugmentwide.md
var trivialAugmentWideCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "trivialaugment_wide",
		Summary: "one random operation at a random magnitude of wide ranges",
		Card:    trivialAugmentWideCard,
	}, func() Options {
		return &TrivialAugmentWideOptions{Bins: 31, Fill: "black", Interpolation: "nearest"}
	})
}

// TrivialAugmentWide applies one operation at one level, both drawn uniformly
// (Müller and Hutter 2021, "TrivialAugment: Tuning-free Yet State-of-the-Art
// Data Augmentation").
type TrivialAugmentWide struct {
	Space   *policy.Space
	Painter policy.Painter
}

// Size implements Transform.
func (TrivialAugmentWide) Size(in Size) Size { return in }

// Sample implements Transform. The slots are those of a list of steps.
func (a TrivialAugmentWide) Sample(r *rng.Stream, in Size) (p Params) {
	ops := a.Space.Ops()
	op := ops[r.IntN(len(ops))]
	p.addStep(r, a.Space, op, float64(r.IntN(a.Space.Levels(op))), in)
	p.Skip = p.Int[0] == 0
	return p
}

// Apply implements Pixels.
func (a TrivialAugmentWide) Apply(dst, src *Image, p *Params) { runSteps(a.Painter, dst, src, p) }

// TrivialAugmentWideOptions are the recipe keys of TrivialAugment Wide.
type TrivialAugmentWideOptions struct {
	// Bins is the number of levels.
	Bins int `yaml:"bins"`
	// Fill is black, grey, mean or #rrggbb.
	Fill string `yaml:"fill"`
	// Interpolation is "nearest" or "bilinear".
	Interpolation string `yaml:"interpolation"`
}

// Validate implements Options.
func (o *TrivialAugmentWideOptions) Validate() error {
	return first(
		checkCount("bins", o.Bins, 2, 1000),
		checkFill(o.Fill),
		checkName("interpolation", "interpolation", o.Interpolation, "nearest", "bilinear"),
	)
}

// Build implements Options.
func (o *TrivialAugmentWideOptions) Build(info Info) (Transform, error) {
	return TrivialAugmentWide{
		Space:   policy.Wide(o.Bins),
		Painter: policy.Painter{Filter: filters[o.Interpolation], Outside: fillColour(o.Fill, info)},
	}, nil
}

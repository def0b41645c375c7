package pixel

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/rng"
)

//go:embed threeaugment.md
var threeAugmentCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "three_augment",
		Summary: "grayscale, solarize or blur, then colour jitter (3-Augment)",
		Card:    threeAugmentCard,
	}, func() Options {
		return &ThreeAugmentOptions{ColourJitter: 0.3, Threshold: 128, BlurMin: 0.1, BlurMax: 2}
	})
}

// ThreeAugment does one of three, chosen uniformly (grayscale, solarize at
// Threshold, Gaussian blur of BlurMin to BlurMax pixels), then jitters
// brightness, contrast and saturation (Touvron et al. 2022, "DeiT III: Revenge
// of the ViT", §3).
type ThreeAugment struct {
	Jitter           ColourJitter
	Threshold        float64
	BlurMin, BlurMax float64
}

// The choices, in Int[chosen]; the jitter's parameters come before.
const (
	chosen = jitters

	choiceGrayscale = 0
	choiceSolarize  = 1
	choices         = 3

	blurSigma = jitters // slot of Float
)

// Size implements Transform.
func (ThreeAugment) Size(in Size) Size { return in }

// Sample implements Transform: the slots of ColourJitter, then Int[4], 0 for
// grayscale, 1 solarize, 2 blur, and Float[4], the blur's standard deviation.
func (a ThreeAugment) Sample(r *rng.Stream, in Size) Params {
	p := a.Jitter.Sample(r, in)
	p.Skip = false
	p.Int[chosen] = r.IntN(choices)
	p.Float[blurSigma] = a.BlurMin + r.Float64()*(a.BlurMax-a.BlurMin)
	return p
}

// Apply implements Pixels.
func (a ThreeAugment) Apply(dst, src *Image, p *Params) {
	switch p.Int[chosen] {
	case choiceGrayscale:
		pil.Grayscale(dst.view(), src.view())
	case choiceSolarize:
		pil.Solarize(dst.view(), src.view(), a.Threshold)
	default:
		p.borrow().blur.Gaussian(dst.view(), src.view(), p.Float[blurSigma])
	}
	if a.Jitter.P > 0 {
		a.Jitter.Apply(dst, dst, p)
	}
}

// ThreeAugmentOptions are the recipe keys of 3-Augment.
type ThreeAugmentOptions struct {
	// ColourJitter is that of brightness, contrast and saturation; 0 for none.
	ColourJitter float64 `yaml:"colour_jitter"`
	// Threshold is solarize's.
	Threshold float64 `yaml:"threshold"`
	// BlurMin and BlurMax bound the blur's standard deviation in pixels.
	BlurMin float64 `yaml:"blur_min"`
	BlurMax float64 `yaml:"blur_max"`
}

// Validate implements Options.
func (o *ThreeAugmentOptions) Validate() error {
	return first(
		checkWithin("colour_jitter", o.ColourJitter, 0, 100),
		checkWithin("threshold", o.Threshold, 0, 256),
		checkWithin("blur_min", o.BlurMin, 0, 1000),
		checkWithin("blur_max", o.BlurMax, 0, 1000),
		checkOrder("blur_min", o.BlurMin, "blur_max", o.BlurMax),
	)
}

// Build implements Options.
func (o *ThreeAugmentOptions) Build(Info) (Transform, error) {
	a := ThreeAugment{Threshold: o.Threshold, BlurMin: o.BlurMin, BlurMax: o.BlurMax}
	if j := o.ColourJitter; j > 0 {
		a.Jitter = ColourJitter{P: 1, Brightness: j, Contrast: j, Saturation: j}
	}
	return a, nil
}

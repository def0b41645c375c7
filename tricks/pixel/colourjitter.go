package pixel

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed colourjitter.md
var colourJitterCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "colour_jitter",
		Summary: "random brightness, contrast, saturation and hue in random order",
		Card:    colourJitterCard,
	}, func() Options { return &ColourJitterOptions{P: 1, Brightness: 0.4, Contrast: 0.4, Saturation: 0.4} })
}

// ColourJitter changes brightness, contrast and saturation by factors uniform
// in 1 ± the given, not below 0, and turns the hue by ± the given part of the
// circle, in random order; a jitter of 0 is left out. With probability 1 − P
// nothing is done. (torchvision's ColorJitter, within RandomApply.)
type ColourJitter struct {
	P                                     float64
	Brightness, Contrast, Saturation, Hue float64
}

// The slots of Float, and the values of Int that order them.
const (
	jitterBrightness = iota
	jitterContrast
	jitterSaturation
	jitterHue
	jitters
)

// Size implements Transform.
func (ColourJitter) Size(in Size) Size { return in }

// Sample implements Transform. Int[0…3] is the order of the four, Float[i] the
// factor of i, or 1 (of the hue 0) for those left out.
func (j ColourJitter) Sample(r *rng.Stream, _ Size) (p Params) {
	p.Skip = r.Float64() >= j.P
	for i := range jitters {
		k := r.IntN(i + 1)
		p.Int[i], p.Int[k] = p.Int[k], i
	}
	factor := func(by float64) float64 {
		lo := max(1-by, 0)
		return lo + r.Float64()*(1+by-lo)
	}
	p.Float[jitterBrightness], p.Float[jitterContrast] = factor(j.Brightness), factor(j.Contrast)
	p.Float[jitterSaturation] = factor(j.Saturation)
	p.Float[jitterHue] = (2*r.Float64() - 1) * j.Hue
	return p
}

// Apply implements Pixels.
func (j ColourJitter) Apply(dst, src *Image, p *Params) {
	to, from := dst.view(), src.view()
	for _, which := range p.Int[:jitters] {
		switch f := p.Float[which]; {
		case which == jitterBrightness && j.Brightness > 0:
			pil.Brightness(to, from, f)
		case which == jitterContrast && j.Contrast > 0:
			pil.Contrast(to, from, f)
		case which == jitterSaturation && j.Saturation > 0:
			pil.Color(to, from, f)
		case which == jitterHue && j.Hue > 0:
			pil.Hue(to, from, f)
		default:
			continue
		}
		from = to // all four work in place
	}
	if &from.Pix[0] != &to.Pix[0] {
		copy(to.Pix, from.Pix)
	}
}

// ColourJitterOptions are the recipe keys of a colour jitter.
type ColourJitterOptions struct {
	// P is the probability that the image is changed.
	P float64 `yaml:"p"`
	// Brightness, Contrast and Saturation are the largest changes of the
	// factor, 0 for none.
	Brightness float64 `yaml:"brightness"`
	Contrast   float64 `yaml:"contrast"`
	Saturation float64 `yaml:"saturation"`
	// Hue is the largest turn, 0 to 0.5 of the circle.
	Hue float64 `yaml:"hue"`
}

// Validate implements Options.
func (o *ColourJitterOptions) Validate() error {
	const most = 100
	err := first(
		checkProbability("p", o.P),
		checkWithin("brightness", o.Brightness, 0, most),
		checkWithin("contrast", o.Contrast, 0, most),
		checkWithin("saturation", o.Saturation, 0, most),
		checkWithin("hue", o.Hue, 0, 0.5),
	)
	if err == nil && o.Brightness+o.Contrast+o.Saturation+o.Hue == 0 {
		return strict.Errorf("brightness", "all four jitters are 0; raise one or leave the trick out")
	}
	return err
}

// Build implements Options.
func (o *ColourJitterOptions) Build(Info) (Transform, error) {
	return ColourJitter{P: o.P, Brightness: o.Brightness, Contrast: o.Contrast, Saturation: o.Saturation, Hue: o.Hue}, nil
}

package pixel

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/rng"
)

//go:embed grayscale.md
var grayscaleCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "grayscale",
		Summary: "take the colour out with a probability",
		Card:    grayscaleCard,
	}, func() Options { return &GrayscaleOptions{P: 0.1} })
}

// Grayscale sets all channels to the luma with probability P.
type Grayscale struct{ P float64 }

// Size implements Transform.
func (Grayscale) Size(in Size) Size { return in }

// Sample implements Transform. Skip is set when the image stays as it is.
func (g Grayscale) Sample(r *rng.Stream, _ Size) (p Params) {
	p.Skip = r.Float64() >= g.P
	return p
}

// Apply implements Pixels.
func (Grayscale) Apply(dst, src *Image, _ *Params) { pil.Grayscale(dst.view(), src.view()) }

// GrayscaleOptions are the recipe keys of grayscale.
type GrayscaleOptions struct {
	// P is the probability, in [0, 1].
	P float64 `yaml:"p"`
}

// Validate implements Options.
func (o *GrayscaleOptions) Validate() error { return checkProbability("p", o.P) }

// Build implements Options.
func (o *GrayscaleOptions) Build(Info) (Transform, error) { return Grayscale{P: o.P}, nil }

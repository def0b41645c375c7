package pixel

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed mirror.md
var mirrorCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "mirror",
		Summary: "swap left and right with a probability",
		Card:    mirrorCard,
	}, func() Options { return &MirrorOptions{P: 0.5} })
}

// Mirror swaps left and right with probability P.
type Mirror struct{ P float64 }

// Size implements Transform.
func (Mirror) Size(in Size) Size { return in }

// Sample implements Transform. Skip is set when the image stays as it is.
func (m Mirror) Sample(r *rng.Stream, _ Size) (p Params) {
	p.Skip = r.Float64() >= m.P
	return p
}

// Window implements Mover.
func (Mirror) Window(p *Params, in Size) Window {
	v := whole(in)
	v.Flip = !p.Skip
	return v
}

// Apply implements Pixels.
func (m Mirror) Apply(dst, src *Image, p *Params) { m.Window(p, src.Size).Copy(dst, src) }

// MirrorOptions are the recipe keys of a mirror.
type MirrorOptions struct {
	// P is the probability, in [0, 1].
	P float64 `yaml:"p"`
}

// Validate implements Options.
func (o *MirrorOptions) Validate() error {
	if !(o.P >= 0 && o.P <= 1) {
		return strict.Errorf("p", "a probability, at least 0 and at most 1, got %v", o.P)
	}
	return nil
}

// Build implements Options.
func (o *MirrorOptions) Build(Info) (Transform, error) { return Mirror{P: o.P}, nil }

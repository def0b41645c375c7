package pixel

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed hideandseek.md
var hideAndSeekCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "hide_and_seek",
		Summary: "blank each patch of a grid with a probability",
		Card:    hideAndSeekCard,
	}, func() Options { return &HideAndSeekOptions{P: 0.5} })
}

// HideAndSeek divides the image into square patches of a side drawn from Sizes
// and sets each patch, with probability P, to 0 after normalisation, the mean
// of the data; the side 0 hides nothing (Kumar Singh and Lee 2017,
// "Hide-and-Seek: Forcing a Network to be Meticulous …").
type HideAndSeek struct {
	P     float64
	Sizes []int
}

// Size implements Transform.
func (HideAndSeek) Size(in Size) Size { return in }

// Sample implements Transform. Int[0] is the side; Seed decides the patches.
func (h HideAndSeek) Sample(r *rng.Stream, _ Size) (p Params) {
	p.Int[0], p.Seed = h.Sizes[r.IntN(len(h.Sizes))], r.Uint64()
	p.Skip = p.Int[0] == 0
	return p
}

// ApplyPlanes implements Planes.
func (h HideAndSeek) ApplyPlanes(x []float32, size Size, p *Params) {
	side, r := p.Int[0], p.noise()
	for top := 0; top < size.H; top += side {
		for left := 0; left < size.W; left += side {
			if r.Float64() >= h.P {
				continue
			}
			x1, y1 := min(left+side, size.W), min(top+side, size.H)
			for c := range size.C {
				for y := top; y < y1; y++ {
					row := (c*size.H + y) * size.W
					clear(x[row+left : row+x1])
				}
			}
		}
	}
}

// HideAndSeekOptions are the recipe keys of Hide-and-Seek.
type HideAndSeekOptions struct {
	// P is the probability that a patch is hidden, in [0, 1].
	P float64 `yaml:"p"`
	// Sizes are the sides to draw from, in pixels; 0 hides nothing. None
	// means 0, 16, 32, 44 and 56 scaled from 224 pixels to the shorter side.
	Sizes []int `yaml:"sizes"`
}

// Validate implements Options.
func (o *HideAndSeekOptions) Validate() error {
	for _, s := range o.Sizes {
		if s < 0 || s > 1<<14 {
			return strict.Errorf("sizes", "must be 0 (nothing) to 16384 pixels, got %d", s)
		}
	}
	return checkProbability("p", o.P)
}

// Build implements Options.
func (o *HideAndSeekOptions) Build(info Info) (Transform, error) {
	h := HideAndSeek{P: o.P, Sizes: o.Sizes}
	if len(h.Sizes) == 0 {
		side := float64(min(info.In.W, info.In.H))
		h.Sizes = []int{0}
		for _, s := range []float64{16, 32, 44, 56} {
			h.Sizes = append(h.Sizes, max(int(math.Round(s*side/224)), 1))
		}
	}
	return h, nil
}

package pixel

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
)

//go:embed gridmask.md
var gridMaskCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "gridmask",
		Summary: "blank a regular grid of squares with the mean colour",
		Card:    gridMaskCard,
	}, func() Options {
		return &GridMaskOptions{P: 0.8, UnitMin: 3.0 / 7, UnitMax: 1, Ratio: 0.6, Rotate: 360}
	})
}

// GridMask blanks a grid of squares: units of d pixels, d uniform between
// UnitMin and UnitMax times the shorter side, whose first Ratio·d rows and
// columns are kept; shifted at random and turned by up to Rotate degrees (Chen
// et al. 2020, "GridMask Data Augmentation").
type GridMask struct {
	P                float64
	UnitMin, UnitMax float64
	Ratio            float64
	Rotate           float64
}

// Size implements Transform.
func (GridMask) Size(in Size) Size { return in }

// Sample implements Transform. Int[0] is the unit d, Int[1] what is kept of
// it, Int[2] and Int[3] the shift, 0 to d−1, Float[0] the angle in degrees.
func (g GridMask) Sample(r *rng.Stream, in Size) (p Params) {
	p.Skip = r.Float64() >= g.P
	side := float64(min(in.W, in.H))
	lo := max(int(math.Round(g.UnitMin*side)), 2)
	hi := max(int(math.Round(g.UnitMax*side)), lo)
	d := lo + r.IntN(hi-lo+1)
	p.Int[0], p.Int[1] = d, int(float64(d)*g.Ratio+0.5)
	p.Int[2], p.Int[3] = r.IntN(d), r.IntN(d)
	p.Float[0] = r.Float64() * g.Rotate
	return p
}

// ApplyPlanes implements Planes.
func (g GridMask) ApplyPlanes(x []float32, size Size, p *Params) {
	d, keep := float64(p.Int[0]), float64(p.Int[1])
	sin, cos := math.Sincos(p.Float[0] * (math.Pi / 180))
	cx, cy := float64(size.W)/2, float64(size.H)/2
	plane := size.W * size.H
	for y := range size.H {
		dy := float64(y) + 0.5 - cy
		for i := range size.W {
			dx := float64(i) + 0.5 - cx
			u, v := cos*dx-sin*dy+cx+float64(p.Int[2]), sin*dx+cos*dy+cy+float64(p.Int[3])
			if u-math.Floor(u/d)*d < keep || v-math.Floor(v/d)*d < keep {
				continue
			}
			for at := y*size.W + i; at < len(x); at += plane {
				x[at] = 0
			}
		}
	}
}

// GridMaskOptions are the recipe keys of GridMask.
type GridMaskOptions struct {
	// P is the probability, in [0, 1].
	P float64 `yaml:"p"`
	// UnitMin and UnitMax bound the unit of the grid, as parts of the shorter
	// side.
	UnitMin float64 `yaml:"unit_min"`
	UnitMax float64 `yaml:"unit_max"`
	// Ratio is the part of a unit that is kept, in [0, 1]: a share of
	// (1 − Ratio)² of the image is blanked.
	Ratio float64 `yaml:"ratio"`
	// Rotate is the largest angle in degrees.
	Rotate float64 `yaml:"rotate"`
}

// Validate implements Options.
func (o *GridMaskOptions) Validate() error {
	return first(
		checkProbability("p", o.P),
		checkWithin("unit_min", o.UnitMin, 0.01, 2),
		checkWithin("unit_max", o.UnitMax, 0.01, 2),
		checkOrder("unit_min", o.UnitMin, "unit_max", o.UnitMax),
		checkWithin("ratio", o.Ratio, 0, 1),
		checkWithin("rotate", o.Rotate, 0, 360),
	)
}

// Build implements Options.
func (o *GridMaskOptions) Build(Info) (Transform, error) {
	return GridMask{P: o.P, UnitMin: o.UnitMin, UnitMax: o.UnitMax, Ratio: o.Ratio, Rotate: o.Rotate}, nil
}

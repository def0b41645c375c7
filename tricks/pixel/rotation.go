package pixel

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/rng"
)

//go:embed rotation.md
var rotationCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "rotation",
		Summary: "turn the image by a random angle",
		Card:    rotationCard,
	}, func() Options { return &RotationOptions{Degrees: 15, Fill: "black", Interpolation: "nearest"} })
}

// Rotation turns the image about its centre by an angle uniform in ±Degrees.
type Rotation struct {
	Degrees float64
	Filter  pil.Filter
	Outside pil.Colour
}

// Size implements Transform.
func (Rotation) Size(in Size) Size { return in }

// Sample implements Transform. Float[0] is the angle in degrees,
// counter-clockwise.
func (t Rotation) Sample(r *rng.Stream, _ Size) (p Params) {
	p.Float[0] = (2*r.Float64() - 1) * t.Degrees
	p.Skip = p.Float[0] == 0
	return p
}

// Apply implements Pixels.
func (t Rotation) Apply(dst, src *Image, p *Params) {
	pil.Rotate(dst.view(), src.view(), p.Float[0], t.Filter, t.Outside)
}

// RotationOptions are the recipe keys of a rotation.
type RotationOptions struct {
	// Degrees is the largest angle, 0 to 180.
	Degrees float64 `yaml:"degrees"`
	// Fill is black, grey, mean or #rrggbb.
	Fill string `yaml:"fill"`
	// Interpolation is "nearest" or "bilinear".
	Interpolation string `yaml:"interpolation"`
}

// Validate implements Options.
func (o *RotationOptions) Validate() error {
	return first(
		checkWithin("degrees", o.Degrees, 0, 180),
		checkFill(o.Fill),
		checkName("interpolation", "interpolation", o.Interpolation, "nearest", "bilinear"),
	)
}

// Build implements Options.
func (o *RotationOptions) Build(info Info) (Transform, error) {
	return Rotation{Degrees: o.Degrees, Filter: filters[o.Interpolation], Outside: fillColour(o.Fill, info)}, nil
}

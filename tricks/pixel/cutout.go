package pixel

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed cutout.md
var cutoutCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "cutout",
		Summary: "blank square holes at random places with the mean colour",
		Card:    cutoutCard,
	}, func() Options { return &CutoutOptions{Size: 16, Holes: 1} })
}

// maxHoles is what Params has slots for.
const maxHoles = len(Params{}.Int) / 2

// Cutout sets Holes squares of Side×Side to 0 after normalisation, the mean
// of the data. Centres are uniform over the image and holes are clipped at
// its border (DeVries and Taylor 2017, "Improved Regularization with Cutout").
type Cutout struct{ Side, Holes int }

// Size implements Transform.
func (Cutout) Size(in Size) Size { return in }

// Sample implements Transform. Int[2i] and Int[2i+1] are the centre of hole i.
func (c Cutout) Sample(r *rng.Stream, in Size) (p Params) {
	for i := range c.Holes {
		p.Int[2*i], p.Int[2*i+1] = r.IntN(in.W), r.IntN(in.H)
	}
	return p
}

// ApplyPlanes implements Planes.
func (c Cutout) ApplyPlanes(x []float32, size Size, p *Params) {
	for i := range c.Holes {
		left, top := p.Int[2*i]-c.Side/2, p.Int[2*i+1]-c.Side/2
		x0, x1 := max(left, 0), min(left+c.Side, size.W)
		y0, y1 := max(top, 0), min(top+c.Side, size.H)
		for ch := range size.C {
			for y := y0; y < y1; y++ {
				row := (ch*size.H + y) * size.W
				clear(x[row+x0 : row+x1])
			}
		}
	}
}

// CutoutOptions are the recipe keys of Cutout.
type CutoutOptions struct {
	// Size is the side of a hole in pixels.
	Size int `yaml:"size"`
	// Holes is the number of holes, 1 to 8.
	Holes int `yaml:"holes"`
}

// Validate implements Options.
func (o *CutoutOptions) Validate() error {
	if o.Size < 1 || o.Size > 1<<14 {
		return strict.Errorf("size", "must be 1 to 16384 pixels, got %d", o.Size)
	}
	if o.Holes < 1 || o.Holes > maxHoles {
		return strict.Errorf("holes", "must be 1 to %d, got %d", maxHoles, o.Holes)
	}
	return nil
}

// Build implements Options.
func (o *CutoutOptions) Build(Info) (Transform, error) {
	return Cutout{Side: o.Size, Holes: o.Holes}, nil
}

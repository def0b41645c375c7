package pixel

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed crop.md
var cropCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "crop",
		Summary: "pad the border, then cut a window at a random place",
		Card:    cropCard,
	}, func() Options { return &CropOptions{Padding: 4, Border: "zero"} })
}

// Crop cuts a window of W×H at a uniformly random place of the image padded
// by Padding pixels on every side.
type Crop struct {
	W, H, Padding int
	Border        Border
}

// Size implements Transform.
func (c Crop) Size(in Size) Size { return Size{c.W, c.H, in.C} }

// Sample implements Transform. Int[0] and Int[1] are the window's left and
// top in the unpadded image, −Padding to W+Padding−c.W.
func (c Crop) Sample(r *rng.Stream, in Size) (p Params) {
	p.Int[0] = r.IntN(in.W+2*c.Padding-c.W+1) - c.Padding
	p.Int[1] = r.IntN(in.H+2*c.Padding-c.H+1) - c.Padding
	return p
}

// Window implements Mover.
func (c Crop) Window(p *Params, _ Size) Window {
	return Window{X: p.Int[0], Y: p.Int[1], W: c.W, H: c.H, Border: c.Border}
}

// Apply implements Pixels.
func (c Crop) Apply(dst, src *Image, p *Params) { c.Window(p, src.Size).Copy(dst, src) }

// CropOptions are the recipe keys of a random crop.
type CropOptions struct {
	// Padding is in pixels, on every side.
	Padding int `yaml:"padding"`
	// Size is the side of the square window in pixels; 0 keeps the image's
	// width and height.
	Size int `yaml:"size"`
	// Border is "zero" or "reflect".
	Border string `yaml:"border"`
}

var borders = map[string]Border{"zero": Zero, "reflect": Reflect}

// Validate implements Options.
func (o *CropOptions) Validate() error {
	if o.Padding < 0 || o.Padding > 1<<12 {
		return strict.Errorf("padding", "must be 0 to 4096 pixels, got %d", o.Padding)
	}
	if o.Size < 0 || o.Size > 1<<14 {
		return strict.Errorf("size", "must be 0 (as the image) to 16384 pixels, got %d", o.Size)
	}
	if _, ok := borders[o.Border]; !ok {
		return strict.Errorf("border", "unknown border %q%s", o.Border, nearest.Hint(o.Border, []string{"zero", "reflect"}))
	}
	return nil
}

// Build implements Options. The window must fit into the padded image, and a
// reflected border must be narrower than the image.
func (o *CropOptions) Build(info Info) (Transform, error) {
	c := Crop{W: info.In.W, H: info.In.H, Padding: o.Padding, Border: borders[o.Border]}
	if o.Size > 0 {
		c.W, c.H = o.Size, o.Size
	}
	if c.W > info.In.W+2*o.Padding || c.H > info.In.H+2*o.Padding {
		return nil, strict.Errorf("size", "%d does not fit into %v padded by %d", o.Size, info.In, o.Padding)
	}
	if c.Border == Reflect && o.Padding >= min(info.In.W, info.In.H) {
		return nil, strict.Errorf("padding", "%d is too wide to reflect images of %v", o.Padding, info.In)
	}
	return c, nil
}

package pixel

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed resize.md
var resizeCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "resize",
		Summary: "resize to one size, cutting off what is beyond its shape: no draws",
		Card:    resizeCard,
	}, func() Options { return &ResizeOptions{Interpolation: "bilinear"} })
}

// Resize brings an image to W×H: without Short the largest window of that
// shape in the middle of the image is resized; with it the image is resized
// until its shorter side is Short, and W×H pixels are cut out of the middle
// (torchvision's Resize and CenterCrop).
type Resize struct {
	W, H, Short int
	Filter      pil.Filter
}

// Size implements Transform.
func (t Resize) Size(in Size) Size { return Size{t.W, t.H, in.C} }

// Sample implements Transform. Nothing is drawn. Int[0…3] are the window of
// the image that is divided into Int[4]×Int[5] points, of which those from
// (Int[6], Int[7]) on are shown.
func (t Resize) Sample(_ *rng.Stream, in Size) (p Params) {
	w, h := in.W, in.H
	if t.Short > 0 {
		nw, nh := t.Short, t.Short
		if w > h {
			nw = t.Short * w / h
		} else {
			nh = t.Short * h / w
		}
		p.Int[2], p.Int[3], p.Int[4], p.Int[5] = w, h, nw, nh
		p.Int[6] = int(math.RoundToEven(float64(nw-t.W) / 2))
		p.Int[7] = int(math.RoundToEven(float64(nh-t.H) / 2))
		return p
	}
	if w*t.H > h*t.W {
		w = max(1, h*t.W/t.H)
	} else {
		h = max(1, w*t.H/t.W)
	}
	p.Int[0], p.Int[1], p.Int[2], p.Int[3], p.Int[4], p.Int[5] = (in.W-w)/2, (in.H-h)/2, w, h, t.W, t.H
	return p
}

// Wants implements Fitter.
func (t Resize) Wants(p *Params, in Size) Wanted {
	x, w, outW := wanted(p.Int[0], p.Int[2], p.Int[4], p.Int[6], t.W, t.Filter)
	y, h, outH := wanted(p.Int[1], p.Int[3], p.Int[5], p.Int[7], t.H, t.Filter)
	return Wanted{x, y, w, h, outW, outH}
}

// wanted returns the pixels that n points see, of those that divide size
// pixels from lo on into points, and how many points those pixels are.
func wanted(lo, size, points, first, n int, f pil.Filter) (from, width, out int) {
	step := float64(size) / float64(points)
	reach := f.Support()*max(step, 1) + 1
	a := max(int(float64(first)*step-reach), 0)
	b := min(int(math.Ceil(float64(first+n)*step+reach)), size)
	return lo + a, b - a, max(1, int(float64(b-a)/step))
}

// Apply implements Pixels.
func (t Resize) Apply(dst, src *Image, p *Params) {
	part := Whole(src)
	t.ApplyPart(dst, &part, p)
}

// ApplyPart implements Fitter.
func (t Resize) ApplyPart(dst *Image, src *Part, p *Params) {
	x := src.across(p.Int[0], p.Int[0]+p.Int[2], float64(p.Int[2])/float64(p.Int[4]), p.Int[6])
	y := src.down(p.Int[1], p.Int[1]+p.Int[3], float64(p.Int[3])/float64(p.Int[5]), p.Int[7])
	p.borrow().resizer.Sample(dst.view(), src.view(), x, y, t.Filter)
}

// ResizeOptions are the recipe keys of a resize.
type ResizeOptions struct {
	// Size is the side of the result in pixels; 0 keeps the image's width and
	// height, or takes the data's where images vary.
	Size int `yaml:"size"`
	// Short is the length that the shorter side is resized to before the
	// middle is cut out; 0 cuts out as much as there is.
	Short int `yaml:"short"`
	// Interpolation is bilinear, bicubic, lanczos or box.
	Interpolation string `yaml:"interpolation"`
}

// Validate implements Options.
func (o *ResizeOptions) Validate() error {
	return first(
		checkCount("size", o.Size, 0, 1<<14),
		checkCount("short", o.Short, 0, 1<<14),
		checkName("interpolation", "interpolation", o.Interpolation, "bilinear", "bicubic", "lanczos", "box"),
	)
}

// Build implements Options.
func (o *ResizeOptions) Build(info Info) (Transform, error) {
	t := Resize{W: info.In.W, H: info.In.H, Short: o.Short, Filter: filters[o.Interpolation]}
	if o.Size > 0 {
		t.W, t.H = o.Size, o.Size
	}
	if t.Short > 0 && t.Short < max(t.W, t.H) {
		return nil, strict.Errorf("short", "%d is less than the %d pixels that are cut out; make it at least that", t.Short, max(t.W, t.H))
	}
	return t, nil
}

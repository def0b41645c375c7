package pixel

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/rng"
)

//go:embed randomresizedcrop.md
var randomResizedCropCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "random_resized_crop",
		Summary: "cut a window of random area and aspect, resize it to one size",
		Card:    randomResizedCropCard,
	}, func() Options {
		return &RandomResizedCropOptions{AreaMin: 0.08, AreaMax: 1, AspectMin: 3.0 / 4, AspectMax: 4.0 / 3, Interpolation: "bilinear"}
	})
}

// RandomResizedCrop cuts a window whose share of the area is uniform and whose
// aspect (width over height) is log-uniform, and resizes it to W×H (Szegedy et
// al. 2014, "Going deeper with convolutions", §6; torchvision's
// RandomResizedCrop).
type RandomResizedCrop struct {
	W, H                 int
	AreaMin, AreaMax     float64
	AspectMin, AspectMax float64
	Filter               pil.Filter
}

// Size implements Transform.
func (c RandomResizedCrop) Size(in Size) Size { return Size{c.W, c.H, in.C} }

const cropTries = 10

// Sample implements Transform. Int[0…3] are the window's left, top, width and
// height. After ten windows that do not fit it is the largest in the middle
// whose aspect is allowed.
func (c RandomResizedCrop) Sample(r *rng.Stream, in Size) (p Params) {
	logMin, logMax := math.Log(c.AspectMin), math.Log(c.AspectMax)
	for range cropTries {
		area := float64(in.W*in.H) * (c.AreaMin + r.Float64()*(c.AreaMax-c.AreaMin))
		aspect := math.Exp(logMin + r.Float64()*(logMax-logMin))
		w, h := int(math.RoundToEven(math.Sqrt(area*aspect))), int(math.RoundToEven(math.Sqrt(area/aspect)))
		if w > 0 && w <= in.W && h > 0 && h <= in.H {
			p.Int[1], p.Int[0] = r.IntN(in.H-h+1), r.IntN(in.W-w+1)
			p.Int[2], p.Int[3] = w, h
			return p
		}
	}
	w, h := in.W, in.H
	if aspect := float64(w) / float64(h); aspect < c.AspectMin {
		h = max(int(math.RoundToEven(float64(w)/c.AspectMin)), 1)
	} else if aspect > c.AspectMax {
		w = max(int(math.RoundToEven(float64(h)*c.AspectMax)), 1)
	}
	p.Int[0], p.Int[1], p.Int[2], p.Int[3] = (in.W-w)/2, (in.H-h)/2, w, h
	return p
}

// Wants implements Fitter.
func (c RandomResizedCrop) Wants(p *Params, in Size) Wanted {
	return Wanted{p.Int[0], p.Int[1], p.Int[2], p.Int[3], c.W, c.H}
}

// Apply implements Pixels.
func (c RandomResizedCrop) Apply(dst, src *Image, p *Params) {
	part := Whole(src)
	c.ApplyPart(dst, &part, p)
}

// ApplyPart implements Fitter.
func (c RandomResizedCrop) ApplyPart(dst *Image, src *Part, p *Params) {
	x := src.across(p.Int[0], p.Int[0]+p.Int[2], float64(p.Int[2])/float64(c.W), 0)
	y := src.down(p.Int[1], p.Int[1]+p.Int[3], float64(p.Int[3])/float64(c.H), 0)
	p.borrow().resizer.Sample(dst.view(), src.view(), x, y, c.Filter)
}

// RandomResizedCropOptions are the recipe keys of a random resized crop.
type RandomResizedCropOptions struct {
	// Size is the side of the result in pixels; 0 keeps the image's width and
	// height.
	Size int `yaml:"size"`
	// AreaMin and AreaMax bound the window's share of the image.
	AreaMin float64 `yaml:"area_min"`
	AreaMax float64 `yaml:"area_max"`
	// AspectMin and AspectMax bound its width over its height.
	AspectMin float64 `yaml:"aspect_min"`
	AspectMax float64 `yaml:"aspect_max"`
	// Interpolation is bilinear, bicubic, lanczos or box.
	Interpolation string `yaml:"interpolation"`
}

// Validate implements Options.
func (o *RandomResizedCropOptions) Validate() error {
	return first(
		checkCount("size", o.Size, 0, 1<<14),
		checkWithin("area_min", o.AreaMin, 0, 1),
		checkWithin("area_max", o.AreaMax, 1e-6, 1),
		checkOrder("area_min", o.AreaMin, "area_max", o.AreaMax),
		checkWithin("aspect_min", o.AspectMin, 0.01, 100),
		checkWithin("aspect_max", o.AspectMax, 0.01, 100),
		checkOrder("aspect_min", o.AspectMin, "aspect_max", o.AspectMax),
		checkName("interpolation", "interpolation", o.Interpolation, "bilinear", "bicubic", "lanczos", "box"),
	)
}

// Build implements Options.
func (o *RandomResizedCropOptions) Build(info Info) (Transform, error) {
	c := RandomResizedCrop{
		W: info.In.W, H: info.In.H, AreaMin: o.AreaMin, AreaMax: o.AreaMax,
		AspectMin: o.AspectMin, AspectMax: o.AspectMax, Filter: filters[o.Interpolation],
	}
	if o.Size > 0 {
		c.W, c.H = o.Size, o.Size
	}
	return c, nil
}

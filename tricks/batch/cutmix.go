package batch

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
)

//go:embed cutmix.md
var cutmixCard string

func init() {
	Mixers.Register(tricks.Trick{
		Name:    "cutmix",
		Summary: "paste a box of another image over each image, targets by area",
		Card:    cutmixCard,
	}, func() Options { return &CutMixOptions{Alpha: 1, Mode: string(PerBatch)} })
}

// CutMix pastes a box of a partner over each image, at the same place. With λ
// from Beta(Alpha, Alpha) the box has √(1−λ) of the image's width and height;
// its centre is uniform over the image and it is clipped at the border. The
// targets are weighted by the true areas after the clipping (Yun et al. 2019,
// "CutMix: Regularization Strategy to Train Strong Classifiers", §3.1).
type CutMix struct {
	Alpha float64
	Mode  Mode
}

// Sample implements Mixer. The first part of each image is the image itself,
// of which the second part, the box, hides some.
func (m CutMix) Sample(r *rng.Stream, s Shape, d *Draw) {
	d.reset(s.N, 2)
	var box Box
	m.Mode.partners(r, s.N, func(i, j int, fresh bool) {
		if fresh {
			box = m.box(r, s.W, s.H)
		}
		share := float64(box.Area()) / float64(s.W*s.H)
		p := d.Parts(i)
		p[0] = Part{From: i, Weight: 1 - share, Box: Box{0, 0, s.W, s.H}}
		p[1] = Part{From: j, Weight: share, Box: box, X: box.X0, Y: box.Y0}
		if i == j {
			p[0].Weight, p[1] = 1, Part{From: i}
		}
	})
}

func (m CutMix) box(r *rng.Stream, w, h int) Box {
	side := math.Sqrt(1 - beta(r, m.Alpha))
	bw, bh := int(side*float64(w)), int(side*float64(h))
	left, top := r.IntN(w)-bw/2, r.IntN(h)-bh/2
	// The authors' code takes the centre ± half the size, rounded down, which
	// makes an odd size even.
	bw, bh = bw/2*2, bh/2*2
	return Box{max(left, 0), max(top, 0), min(left+bw, w), min(top+bh, h)}
}

// Apply implements Mixer.
func (CutMix) Apply(dst, src []float32, s Shape, d *Draw, i int) { cover(dst, src, s, d, i) }

// ApplyBytes implements Paster.
func (CutMix) ApplyBytes(dst, src []uint8, s Shape, d *Draw, i int) { cover(dst, src, s, d, i) }

// cover copies an output image's first source and pastes the second over it.
func cover[T float32 | uint8](dst, src []T, s Shape, d *Draw, i int) {
	p := d.Parts(i)
	copy(dst, src[p[0].From*s.Image():(p[0].From+1)*s.Image()])
	paste(dst, src, s, &p[1])
}

// paste copies a part's box to an output image.
func paste[T float32 | uint8](dst, src []T, s Shape, p *Part) {
	width := p.Box.X1 - p.Box.X0
	if p.Box.Area() == 0 {
		return
	}
	from := p.From * s.Image()
	for c := range s.C {
		for y := p.Box.Y0; y < p.Box.Y1; y++ {
			to := (c*s.H+y)*s.W + p.Box.X0
			at := from + (c*s.H+p.Y+y-p.Box.Y0)*s.W + p.X
			copy(dst[to:to+width], src[at:at+width])
		}
	}
}

// CutMixOptions are the recipe keys of CutMix.
type CutMixOptions struct {
	// Alpha is the parameter of the Beta distribution; 0 turns CutMix off.
	Alpha float64 `yaml:"alpha"`
	// Mode is "batch", "pair" or "element".
	Mode string `yaml:"mode"`
}

// Validate implements Options.
func (o *CutMixOptions) Validate() error {
	if err := checkBeta("alpha", o.Alpha); err != nil {
		return err
	}
	return checkMode(o.Mode, PerBatch, PerPair, PerElement)
}

// Build implements Options.
func (o *CutMixOptions) Build() Mixer {
	if o.Alpha == 0 {
		return nil
	}
	return CutMix{Alpha: o.Alpha, Mode: Mode(o.Mode)}
}

// Package batch mixes the images of a batch with each other: mixup, CutMix,
// RICAP, and the switch that chooses one of them for every batch. It works on
// what the loader has made: N×C×H×W normalised float32 images, or 8-bit ones
// where a trick only moves pixels (Paster), and N×K soft target rows.
//
// A trick has two halves. Sample draws, once a batch, which images each
// output image is made of (a Draw); it is a function of the seed, the epoch
// and the batch's number alone. Apply then makes one output image from the
// batch's images. Every output image reads only the source, so any number of
// workers may apply one draw at once and the bytes are the same.
package batch

import (
	"fmt"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
)

// Shape is the shape of a batch's images: N×C×H×W.
type Shape struct{ N, C, H, W int }

// Image returns the number of values of one image.
func (s Shape) Image() int { return s.C * s.H * s.W }

// Mixer is one trick. It is immutable and safe for concurrent use.
type Mixer interface {
	// Sample fills a draw for a batch of the given shape, two images or more.
	Sample(r *rng.Stream, s Shape, d *Draw)
	// Apply writes output image i to dst, C×H×W, from src, the N×C×H×W images
	// of the batch. dst is no part of src.
	Apply(dst, src []float32, s Shape, d *Draw, i int)
}

// Paster is a Mixer that only moves pixels, so that it can also mix images that
// are not normalised.
type Paster interface {
	Mixer
	// ApplyBytes is Apply on 8-bit values.
	ApplyBytes(dst, src []uint8, s Shape, d *Draw, i int)
}

// Part says that an output image shows some of a source image.
type Part struct {
	// From is the number of the source image in the batch.
	From int
	// Weight is the source's share of the output's target. The weights of an
	// output image sum to one.
	Weight float64
	// Box is the part of the output that shows the source, and X, Y where its
	// top left corner lies in the source. Tricks that blend whole images
	// leave them zero.
	Box  Box
	X, Y int
}

// Box is a rectangle of pixels: X0 ≤ x < X1, Y0 ≤ y < Y1.
type Box struct{ X0, Y0, X1, Y1 int }

// Area returns the number of pixels in the box.
func (b Box) Area() int { return (b.X1 - b.X0) * (b.Y1 - b.Y0) }

// Draw is what a batch's images are made of. Its memory is reused from batch
// to batch.
type Draw struct {
	parts []Part
	each  int // parts of one output image
}

// reset makes room for n images of the given number of parts. The parts keep
// stale values; whoever samples sets them all.
func (d *Draw) reset(n, each int) {
	if d.each = each; cap(d.parts) < n*each {
		d.parts = make([]Part, n*each)
	}
	d.parts = d.parts[:n*each]
}

// Parts returns what output image i is made of: the draw's memory, valid until
// the next Sample.
func (d *Draw) Parts(i int) []Part { return d.parts[i*d.each : (i+1)*d.each] }

// Targets writes the target rows of the mixed images to dst, N×k, from the
// rows of the images they are made of. dst and src share no memory. Loss is
// linear in the targets, so this equals mixing the losses.
func (d *Draw) Targets(dst, src []float32, k int) {
	n := len(d.parts) / d.each
	if len(dst) != n*k || len(src) != n*k {
		panic(fmt.Sprintf("batch: targets of %d and %d values for %d images of %d classes", len(dst), len(src), n, k))
	}
	clear(dst)
	for i := range n {
		row := dst[i*k : (i+1)*k]
		for _, p := range d.Parts(i) {
			if p.Weight == 0 {
				continue
			}
			w := float32(p.Weight)
			for c, v := range src[p.From*k : (p.From+1)*k] {
				row[c] += w * v
			}
		}
	}
}

// Options are the settings of one trick as a recipe gives them: a pointer to a
// struct with yaml tags. Errors are about a key of the struct (strict.Errorf).
type Options interface {
	// Validate checks the values on their own.
	Validate() error
	// Build returns the trick, or nil if the options turn it off. The options
	// are valid.
	Build() Mixer
}

// Mixers is the registry of this package; a trick's file adds to it in its
// init function.
var Mixers = tricks.NewRegistry[Options](tricks.Batch)

package data

import (
	"fmt"

	"github.com/ortrain/ortrain/tricks/batch"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// planes are the values of images, C×H×W each: normalised numbers, or the 8-bit
// values that are normalised later. One of the two is nil.
type planes struct {
	floats []float32
	bytes  []uint8
}

// newPlanes makes room for n values of one kind.
func newPlanes(n int, bytes bool) planes {
	if bytes {
		return planes{bytes: make([]uint8, n)}
	}
	return planes{floats: make([]float32, n)}
}

// cut returns the values from one to before another.
func (p planes) cut(from, to int) planes {
	if p.bytes != nil {
		return planes{bytes: p.bytes[from:to]}
	}
	return planes{floats: p.floats[from:to]}
}

// apply runs an image through a worker's chain into the planes.
func (p planes) apply(w *pixel.Worker, img *pixel.Image, seed uint64, epoch, number int) {
	if p.bytes != nil {
		w.ApplyBytes(p.bytes, img, seed, epoch, number)
		return
	}
	w.Apply(p.floats, img, seed, epoch, number)
}

// applyPart runs the image that was sampled for through a worker's chain into
// the planes.
func (p planes) applyPart(w *pixel.Worker, part *pixel.Part) {
	if p.bytes != nil {
		w.ApplyPartBytes(p.bytes, part)
		return
	}
	w.ApplyPart(p.floats, part)
}

// mix makes a mixed image of those in src.
func (p planes) mix(m batch.Mixer, src planes, s batch.Shape, d *batch.Draw, i int) {
	if p.bytes != nil {
		m.(batch.Paster).ApplyBytes(p.bytes, src.bytes, s, d, i)
		return
	}
	m.Apply(p.floats, src.floats, s, d, i)
}

// checkBytes reports a trick that has to work on normalised numbers.
func checkBytes(chain *pixel.Chain, mix *batch.Switch) error {
	name := chain.NeedsFloats()
	if name == "" && mix != nil {
		name = mix.NeedsFloats()
	}
	if name != "" {
		return fmt.Errorf("%s works on normalised images, which 8-bit values cannot hold", name)
	}
	return nil
}

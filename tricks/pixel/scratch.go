package pixel

import (
	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/rng"
)

// scratch is memory that transforms need beside source and destination. A
// worker owns one and lends it to one transform at a time, so transforms stay
// immutable and shared and still do not allocate.
type scratch struct {
	images  [2]Image
	sums    []float32
	resizer pil.Resizer
	blur    pil.Blur
	stream  *rng.Stream

	partners Partners
}

// borrow returns the worker's scratch; Params that come from elsewhere get one
// of their own.
func (p *Params) borrow() *scratch {
	if p.scratch == nil {
		p.scratch = new(scratch)
	}
	return p.scratch
}

// noise returns a stream that starts at the parameters' seed.
func (p *Params) noise() *rng.Stream {
	s := p.borrow()
	if s.stream == nil {
		s.stream = rng.NewStream()
	}
	s.stream.Reset(p.Seed, 0, 0, 0)
	return s.stream
}

// view is the image as package pil takes it.
func (m *Image) view() pil.Image { return pil.Image{W: m.W, H: m.H, C: m.C, Pix: m.Pix} }

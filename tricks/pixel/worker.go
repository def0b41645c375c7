package pixel

import (
	"fmt"

	"github.com/ortrain/ortrain/tricks/rng"
)

// NewWorker returns a worker with scratch memory of its own.
func (c *Chain) NewWorker() *Worker {
	return &Worker{chain: c, stream: rng.NewStream(), params: make([]Params, len(c.pixels)+len(c.planes))}
}

// Worker runs a chain. It is not safe for concurrent use. Once warm it does
// not allocate.
type Worker struct {
	chain  *Chain
	stream *rng.Stream
	params []Params
	in     Size // of the image that was sampled for
	whole  Part // of Apply
	buffer [2]Image
	memory scratch
	unfuse bool // for tests: take the general path
	doing  string
}

// Doing names the transform that is running, for the report of a panic.
func (w *Worker) Doing() string { return w.doing }

// Apply runs src through the chain into dst, C×H×W of the chain's Out. What
// is random depends on seed, epoch, index and the image's size only. It panics
// if src is not of the chain's In size or dst has another length than Out.
func (w *Worker) Apply(dst []float32, src *Image, seed uint64, epoch, index int) {
	w.Sample(src.Size, seed, epoch, index)
	w.whole = Whole(src)
	w.ApplyPart(dst, &w.whole)
}

// ApplyBytes is Apply for a chain that ends in pixels (see Chain.Bytes): dst
// gets the 8-bit values, not normalised, as planes.
func (w *Worker) ApplyBytes(dst []uint8, src *Image, seed uint64, epoch, index int) {
	w.Sample(src.Size, seed, epoch, index)
	w.whole = Whole(src)
	w.ApplyPartBytes(dst, &w.whole)
}

// Sample draws everything that is random for an image of a size. It panics if
// the chain does not take that size.
func (w *Worker) Sample(in Size, seed uint64, epoch, index int) {
	c := w.chain
	if in.C != c.in.C || c.fit == nil && in != c.in {
		panic(fmt.Sprintf("pixel: a chain from %v to %v was given %v", c.in, c.out, in))
	}
	w.in = in
	for i := range c.pixels {
		l := &c.pixels[i]
		size := l.in
		if i == 0 {
			size = in
		}
		w.doing = l.name
		w.stream.Reset(seed, epoch, index, l.key)
		w.params[i] = l.pixels.Sample(w.stream, size)
		w.params[i].scratch = &w.memory
	}
	for i := range c.planes {
		l, at := &c.planes[i], len(c.pixels)+i
		w.doing = l.name
		w.stream.Reset(seed, epoch, index, l.key)
		w.params[at] = l.planes.Sample(w.stream, l.in)
		w.params[at].scratch = &w.memory
	}
	w.doing = ""
}

// Wants returns what the chain looks at of the image that was sampled for:
// everything where images have one size.
func (w *Worker) Wants() Wanted {
	if f := w.chain.fit; f != nil {
		return f.Wants(&w.params[0], w.in)
	}
	return Wanted{0, 0, w.in.W, w.in.H, w.in.W, w.in.H}
}

// ApplyPart runs the image that was sampled for through the chain into dst,
// C×H×W of the chain's Out. The part of it that src holds contains what is
// wanted. It panics if src is part of an image of another size, or dst has
// another length than Out.
func (w *Worker) ApplyPart(dst []float32, src *Part) {
	c := w.chain
	w.check(src, len(dst))
	img, view := w.applyPixels(src)
	w.doing = "normalise"
	c.norm.ApplyWindow(dst, img, view)
	for i := range c.planes {
		l, p := &c.planes[i], &w.params[len(c.pixels)+i]
		w.doing = l.name
		if !p.Skip {
			l.planes.ApplyPlanes(dst, l.in, p)
		}
	}
	w.doing = ""
}

// ApplyPartBytes is ApplyPart for a chain that ends in pixels: dst gets the
// 8-bit values, not normalised, as planes. It panics if the chain goes on after
// the normalisation.
func (w *Worker) ApplyPartBytes(dst []uint8, src *Part) {
	w.check(src, len(dst))
	if name := w.chain.NeedsFloats(); name != "" {
		panic("pixel: 8-bit planes of a chain with " + name)
	}
	img, view := w.applyPixels(src)
	intoPlanes(dst, img, view, plain[:img.C])
	w.doing = ""
}

// check panics if src is not part of the image that was sampled for, or values
// are not as many as the chain makes.
func (w *Worker) check(src *Part, values int) {
	if c := w.chain; src.Of != w.in || values != c.out.Elements() {
		panic(fmt.Sprintf("pixel: a chain from %v to %v was given a part of %v and %d values", w.in, c.out, src.Of, values))
	}
}

// applyPixels runs the transforms of pixels and returns the result as a window
// of an image: one by one through two buffers, but for those at the end that
// only move pixels.
func (w *Worker) applyPixels(src *Part) (*Image, Window) {
	c := w.chain
	img, next := &src.Image, 0
	run := func(from, to int) {
		for i := from; i < to; i++ {
			l := &c.pixels[i]
			if w.params[i].Skip {
				continue
			}
			w.doing = l.name
			dst := &w.buffer[next]
			next = 1 - next
			dst.Reset(l.out)
			if i == 0 && c.fit != nil {
				c.fit.ApplyPart(dst, src, &w.params[i])
			} else {
				l.pixels.Apply(dst, img, &w.params[i])
			}
			img = dst
		}
	}
	run(0, c.tail)
	if !w.unfuse {
		if v, ok := w.fuse(img.Size); ok {
			return img, v
		}
	}
	run(c.tail, len(c.pixels))
	return img, whole(img.Size)
}

// fuse returns the single window that the last transforms of pixels amount to,
// if they do, on an image of the given size.
func (w *Worker) fuse(size Size) (Window, bool) {
	c := w.chain
	v := whole(size)
	for i := c.tail; i < len(c.pixels); i++ {
		l := &c.pixels[i]
		if w.params[i].Skip {
			continue
		}
		var ok bool
		if v, ok = v.then(l.mover.Window(&w.params[i], l.in), size); !ok {
			return Window{}, false
		}
	}
	return v, true
}

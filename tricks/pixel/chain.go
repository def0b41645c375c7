package pixel

import (
	"errors"
	"fmt"

	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

// Named is a transform's options with the name under which it is registered,
// which also names its random stream.
type Named struct {
	Name    string
	Options Options
}

// Chain is the whole path of an image: transforms of pixels, normalisation,
// transforms of planes. It is immutable and shared; each worker makes its own
// Worker from it.
type Chain struct {
	in, out Size
	pixels  []link
	planes  []link
	movers  bool // all pixels are Movers
	norm    *Normaliser
}

// link is one transform with its place in the chain.
type link struct {
	name   string
	key    rng.Key
	pixels Pixels
	planes Planes
	mover  Mover
	in     Size
	out    Size
}

// NewChain builds the transforms for images of info's size and normalises
// with info's mean and std. An error about a step is a *strict.Error whose key
// starts with the step's number.
func NewChain(info Info, steps ...Named) (*Chain, error) {
	norm, err := NewNormaliser(info.Mean, info.Std)
	if err != nil {
		return nil, err
	}
	if norm.Channels() != info.In.C {
		return nil, fmt.Errorf("normalise: mean and std have %d channels, the images %d", norm.Channels(), info.In.C)
	}
	c := &Chain{in: info.In, out: info.In, norm: norm, movers: true}
	uses := map[string]int{}
	for i, step := range steps {
		here := info
		here.In = c.out
		l := link{name: step.Name, key: rng.NewKey(step.Name).Nth(uses[step.Name]), in: c.out}
		uses[step.Name]++
		t, err := build(step.Options, here)
		if err == nil {
			err = c.add(l, t)
		}
		if err != nil {
			return nil, strict.Within(fmt.Sprint(i), err)
		}
	}
	return c, nil
}

func build(o Options, info Info) (Transform, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return o.Build(info)
}

func (c *Chain) add(l link, t Transform) error {
	l.out = t.Size(l.in)
	switch t := t.(type) {
	case Planes:
		if l.out != l.in {
			panic(fmt.Sprintf("pixel: %s changes the size of planes", l.name))
		}
		l.planes = t
		c.planes = append(c.planes, l)
	case Pixels:
		if len(c.planes) > 0 {
			return errors.New("works on 8-bit pixels, so it must come before " + c.planes[0].name)
		}
		l.pixels = t
		l.mover, _ = t.(Mover)
		c.movers = c.movers && l.mover != nil
		c.pixels = append(c.pixels, l)
	default:
		panic(fmt.Sprintf("pixel: %s implements neither Pixels nor Planes", l.name))
	}
	c.out = l.out
	return nil
}

// In returns the size of the images the chain takes.
func (c *Chain) In() Size { return c.in }

// Out returns the size of the planes the chain makes.
func (c *Chain) Out() Size { return c.out }

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
	buffer [2]Image
	memory scratch
	unfuse bool // for tests: take the general path
	doing  string
}

// Apply runs src through the chain into dst, C×H×W of the chain's Out. What
// is random depends on seed, epoch and index only. It panics if src is not of
// the chain's In size or dst has another length than Out.
func (w *Worker) Apply(dst []float32, src *Image, seed uint64, epoch, index int) {
	c := w.chain
	if src.Size != c.in || len(dst) != c.out.Elements() {
		panic(fmt.Sprintf("pixel: a chain from %v to %v was given %v and %d values", c.in, c.out, src.Size, len(dst)))
	}
	for i := range c.pixels {
		w.sample(&c.pixels[i], i, seed, epoch, index)
	}
	for i := range c.planes {
		w.sample(&c.planes[i], len(c.pixels)+i, seed, epoch, index)
	}
	w.doing = "normalise"
	if v, ok := w.fuse(); ok {
		c.norm.ApplyWindow(dst, src, v)
	} else {
		c.norm.Apply(dst, w.applyPixels(src))
	}
	for i := range c.planes {
		l, p := &c.planes[i], &w.params[len(c.pixels)+i]
		w.doing = l.name
		if !p.Skip {
			l.planes.ApplyPlanes(dst, l.in, p)
		}
	}
	w.doing = ""
}

// Doing names the transform that is running, for the report of a panic.
func (w *Worker) Doing() string { return w.doing }

func (w *Worker) sample(l *link, i int, seed uint64, epoch, index int) {
	w.doing = l.name
	w.stream.Reset(seed, epoch, index, l.key)
	if l.pixels != nil {
		w.params[i] = l.pixels.Sample(w.stream, l.in)
	} else {
		w.params[i] = l.planes.Sample(w.stream, l.in)
	}
	w.params[i].scratch = &w.memory
}

// fuse returns the single window that all transforms of pixels amount to, if
// they do.
func (w *Worker) fuse() (Window, bool) {
	c := w.chain
	if !c.movers || w.unfuse {
		return Window{}, false
	}
	v := whole(c.in)
	for i := range c.pixels {
		l := &c.pixels[i]
		if w.params[i].Skip {
			continue
		}
		var ok bool
		if v, ok = v.then(l.mover.Window(&w.params[i], l.in), c.in); !ok {
			return Window{}, false
		}
	}
	return v, true
}

// applyPixels runs the transforms of pixels one by one through two buffers.
func (w *Worker) applyPixels(src *Image) *Image {
	c := w.chain
	next := 0
	for i := range c.pixels {
		l := &c.pixels[i]
		w.doing = l.name
		if w.params[i].Skip {
			continue
		}
		dst := &w.buffer[next]
		next = 1 - next
		dst.Reset(l.out)
		l.pixels.Apply(dst, src, &w.params[i])
		src = dst
	}
	w.doing = "normalise"
	return src
}

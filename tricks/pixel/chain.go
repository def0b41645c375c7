package pixel

import (
	"errors"
	"fmt"

	"github.com/ortrain/ortrain/tricks/pixel/pil"
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
	fit     Fitter // pixels[0] where images vary, else nil
	pixels  []link
	planes  []link
	tail    int // pixels[tail:] are Movers
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
// with info's mean and std. Where images vary and the first step is no Fitter,
// a Resize to info's size goes before it. An error about a step is a
// *strict.Error whose key starts with the step's number.
func NewChain(info Info, steps ...Named) (*Chain, error) {
	norm, err := NewNormaliser(info.Mean, info.Std)
	if err != nil {
		return nil, err
	}
	if norm.Channels() != info.In.C {
		return nil, fmt.Errorf("normalise: mean and std have %d channels, the images %d", norm.Channels(), info.In.C)
	}
	c := &Chain{in: info.In, out: info.In, norm: norm}
	uses := map[string]int{}
	vary := info.Vary
	info.Vary = false
	for i, step := range steps {
		here := info
		here.In = c.out
		l := link{name: step.Name, key: rng.NewKey(step.Name).Nth(uses[step.Name]), in: c.out}
		uses[step.Name]++
		t, err := build(step.Options, here)
		if err == nil && vary && i == 0 {
			var ok bool
			if c.fit, ok = t.(Fitter); !ok {
				err = c.addResize()
			}
		}
		if err == nil {
			err = c.add(l, t)
		}
		if err != nil {
			return nil, strict.Within(fmt.Sprint(i), err)
		}
	}
	if vary && len(steps) == 0 {
		if err := c.addResize(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// addResize makes images of various sizes one size.
func (c *Chain) addResize() error {
	t := Resize{W: c.in.W, H: c.in.H, Filter: pil.Bilinear}
	c.fit = t
	return c.add(link{name: "resize", key: rng.NewKey("resize"), in: c.in}, t)
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
			return errors.New(l.name + " works on 8-bit pixels, so it must come before " + c.planes[0].name)
		}
		l.pixels = t
		l.mover, _ = t.(Mover)
		c.pixels = append(c.pixels, l)
		if l.mover == nil {
			c.tail = len(c.pixels)
		}
	default:
		panic(fmt.Sprintf("pixel: %s implements neither Pixels nor Planes", l.name))
	}
	c.out = l.out
	return nil
}

// In returns the size of the images the chain takes. Where they vary it is
// only the number of channels that counts.
func (c *Chain) In() Size { return c.in }

// Varies tells whether the chain takes images of any width and height.
func (c *Chain) Varies() bool { return c.fit != nil }

// Out returns the size of the planes the chain makes.
func (c *Chain) Out() Size { return c.out }

// NeedsFloats names the first transform that works on normalised pixels, which
// 8-bit values cannot hold; empty if there is none.
func (c *Chain) NeedsFloats() string {
	if len(c.planes) == 0 {
		return ""
	}
	return c.planes[0].name
}

// Normaliser returns what normalises the chain's images.
func (c *Chain) Normaliser() *Normaliser { return c.norm }

package pixel

import (
	"fmt"
	"math/bits"

	"github.com/ortrain/ortrain/tricks/pixel/pil"
)

// Partners are the images that a transform may bring in beside the one it is
// given: usually the training images. They must be the same for every worker,
// so that what an image becomes does not depend on who makes it.
type Partners interface {
	// Len returns the number of images, at least 1.
	Len() int
	// Read returns image i, valid until the next call.
	Read(i int) (*Image, error)
}

// Pair gives the worker's chain its partners. Without them a transform that
// needs one panics.
func (w *Worker) Pair(with Partners) { w.memory.partners = with }

// partner returns the image that the parameters' seed chooses among the
// partners, in the size of the image it is to be paired with.
func (p *Params) partner(size Size) *Image {
	s := p.borrow()
	if s.partners == nil {
		panic("there are no images to pair with")
	}
	i, _ := bits.Mul64(p.Seed, uint64(s.partners.Len()))
	m, err := s.partners.Read(int(i))
	if err != nil {
		panic(fmt.Sprintf("partner image: %v", err))
	}
	if m.Size == size {
		return m
	}
	if m.C != size.C {
		panic(fmt.Sprintf("partner image of %v for one of %v", m.Size, size))
	}
	s.images[1].Reset(size)
	s.resizer.Resize(s.images[1].view(), m.view(), pil.Crop{W: m.W, H: m.H}, pil.Bilinear)
	return &s.images[1]
}

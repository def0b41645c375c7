// Package pixel changes single images on their way into a batch: 8-bit pixels
// in, normalised float32 planes out.
//
// Every trick is split in two: Sample draws what is random, Apply does it. So
// a trick can be tested with chosen parameters, replayed from a (seed, epoch,
// index), and fused with its neighbours when it only moves pixels.
package pixel

import "fmt"

// Size is the extent of an image: width, height and channels (1 or 3).
type Size struct{ W, H, C int }

// Elements returns W·H·C.
func (s Size) Elements() int { return s.W * s.H * s.C }

// String returns W×H×C.
func (s Size) String() string { return fmt.Sprintf("%d×%d×%d", s.W, s.H, s.C) }

// Image holds 8-bit pixels, rows from the top, channels interleaved:
// Pix[(y·W+x)·C+c]. Whoever fills an Image owns Pix; it may be memory of a
// data set, so only the owner writes to it.
type Image struct {
	Size
	Pix []uint8
}

// resize gives the image the size, reusing Pix when it is large enough.
func (m *Image) resize(s Size) {
	m.Size = s
	if n := s.Elements(); cap(m.Pix) < n {
		m.Pix = make([]uint8, n)
	} else {
		m.Pix = m.Pix[:n]
	}
}

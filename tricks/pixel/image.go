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

// Reset gives the image a size. Its pixels are undefined; their memory is used
// again if it is large enough.
func (m *Image) Reset(s Size) {
	m.Size = s
	if n := s.Elements(); cap(m.Pix) < n {
		m.Pix = make([]uint8, n)
	} else {
		m.Pix = m.Pix[:n]
	}
}

// Part is a part of an image, possibly made smaller.
type Part struct {
	Image
	// X and Y are where it begins in the image that it is a part of, in that
	// image's pixels. A part that was made smaller may begin up to Shrink
	// pixels left of the image or above it, and end as far beyond it.
	X, Y int
	// Shrink is how many pixels of the whole image, across and down, a pixel
	// of the part is the mean of.
	Shrink int
	// Of is the size of the image that it is a part of.
	Of Size
}

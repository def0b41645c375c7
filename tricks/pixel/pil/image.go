// Package pil repeats Pillow's operations on 8-bit images pixel for pixel, so
// that an augmentation policy published in terms of Pillow means the same
// here. What Pillow does in floating point is done in the same precision and
// order; where its arithmetic is provably equal to an integer formula the
// integers are used.
//
// An operation writes dst, which has src's width, height and channels. Those
// on single pixels (tables, enhancements, colours) may have dst and src share
// their pixels; the others say that they may not. Nothing allocates, except
// that a Resizer or Blur grows its own memory to the largest image seen.
package pil

import "fmt"

// Image is a view of 8-bit pixels, rows from the top, channels interleaved:
// Pix[(y·W+x)·C+c], C is 1 (Pillow's mode L) or 3 (RGB).
type Image struct {
	W, H, C int
	Pix     []uint8
}

// Colour is one value per channel; one-channel images use the first.
type Colour [3]uint8

// check panics if the two differ in size: a mistake of the program.
func check(dst, src Image) {
	if dst.W != src.W || dst.H != src.H || dst.C != src.C || len(dst.Pix) != len(src.Pix) {
		panic(fmt.Sprintf("pil: %d×%d×%d into %d×%d×%d", src.W, src.H, src.C, dst.W, dst.H, dst.C))
	}
}

// fill paints the whole image.
func fill(dst Image, c Colour) {
	if len(dst.Pix) == 0 {
		return
	}
	n := copy(dst.Pix, c[:dst.C])
	for n < len(dst.Pix) {
		n += copy(dst.Pix[n:], dst.Pix[:n])
	}
}

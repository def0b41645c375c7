package decode

import (
	"sync"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// The eight orientations of EXIF say how the stored image is to be shown. With
// (x, y) a pixel of the upright image and w×h the stored size, the stored
// pixel is
//
//	1 (x, y)        2 (w−1−x, y)    3 (w−1−x, h−1−y)  4 (x, h−1−y)
//	5 (y, x)        6 (y, h−1−x)    7 (w−1−y, h−1−x)  8 (w−1−y, x)
//
// that is, from 5 on the axes are exchanged, and then each may be reversed.

// mirrored tells which axes of the stored image are reversed.
func mirrored(orientation int) (x, y bool) {
	switch orientation {
	case 2, 8:
		return true, false
	case 3, 7:
		return true, true
	case 4, 6:
		return false, true
	}
	return false, false
}

// stored returns where a window of the upright image lies in the stored one,
// which is w×h.
func stored(v Window, orientation, w, h int) Window {
	if orientation > 4 {
		v = Window{v.Y, v.X, v.H, v.W}
	}
	return reverse(v, orientation, w, h)
}

// upright is the inverse of stored.
func upright(v Window, orientation, w, h int) Window {
	v = reverse(v, orientation, w, h)
	if orientation > 4 {
		v = Window{v.Y, v.X, v.H, v.W}
	}
	return v
}

func reverse(v Window, orientation, w, h int) Window {
	mx, my := mirrored(orientation)
	if mx {
		v.X = w - v.X - v.W
	}
	if my {
		v.Y = h - v.Y - v.H
	}
	return v
}

// turning holds images on their way to be turned upright.
var turning = sync.Pool{New: func() any { return new(pixel.Image) }}

// turn writes a stored image to dst, upright. Both may be the same image if it
// is upright already.
func turn(dst, src *pixel.Image, orientation int) {
	if orientation <= 1 {
		return
	}
	mx, my := mirrored(orientation)
	c := src.C
	// What a step along the upright image's x and y means in the stored one.
	dx, dy, from := c, src.W*c, 0
	if mx {
		from, dx = (src.W-1)*c, -dx
	}
	if my {
		from, dy = from+(src.H-1)*src.W*c, -dy
	}
	size := src.Size
	if orientation > 4 {
		size.W, size.H = size.H, size.W
		dx, dy = dy, dx
	}
	dst.Reset(size)
	for y := range size.H {
		out, at := dst.Pix[y*size.W*c:(y+1)*size.W*c], from+y*dy
		for x := 0; x < len(out); x += c {
			for k := range c {
				out[x+k] = src.Pix[at+k]
			}
			at += dx
		}
	}
}

package pil

import "math"

// Filter is a way to read an image between its pixels.
type Filter uint8

// The filters. Affine knows Nearest and Bilinear; a Resizer knows all but
// Nearest.
const (
	Nearest Filter = iota
	Bilinear
	Bicubic // Catmull-Rom, a = −0.5
	Lanczos // of three lobes
	Box
)

// Affine is Image.transform with Transform.AFFINE: the pixel (x, y) of dst is
// read at (m0·x + m1·y + m2, m3·x + m4·y + m5) of src, in coordinates where
// pixels have their centres at halves; what lies outside has the colour. dst
// and src must not overlap.
func Affine(dst, src Image, m [6]float64, f Filter, outside Colour) {
	check(dst, src)
	fill(dst, outside)
	switch {
	case f == Bilinear:
		bilinear(dst, src, m)
	case m[1] == 0 && m[3] == 0:
		axes(dst, src, m)
	case fits(m, 0, 0) && fits(m, src.W, src.H) && fits(m, 0, src.H) && fits(m, src.W, 0):
		fixed(dst, src, m)
	default:
		floating(dst, src, m)
	}
}

// coordinate cuts off to the pixel, with −1 for anything left of the image.
func coordinate(v float64) int {
	if v < 0 {
		return -1
	}
	return int(v)
}

// axes reads columns and rows that stay columns and rows: translations.
func axes(dst, src Image, m [6]float64) {
	c := src.C
	yo := m[5] + m[4]*0.5
	for y := range dst.H {
		sy := coordinate(yo)
		yo += m[4]
		if sy < 0 || sy >= src.H {
			continue
		}
		row := src.Pix[sy*src.W*c : (sy+1)*src.W*c]
		out := dst.Pix[y*dst.W*c : (y+1)*dst.W*c]
		if m[0] == 1 && m[2] == math.Floor(m[2]) && math.Abs(m[2]) < 1<<30 {
			shift(out, row, int(m[2])*c)
			continue
		}
		xo := m[2] + m[0]*0.5
		for x := range dst.W {
			if sx := coordinate(xo); sx >= 0 && sx < src.W {
				copy(out[x*c:(x+1)*c], row[sx*c:(sx+1)*c])
			}
			xo += m[0]
		}
	}
}

// shift copies row[i+by] to out[i] where both exist.
func shift(out, row []uint8, by int) {
	switch {
	case by >= len(row) || -by >= len(out):
	case by >= 0:
		copy(out, row[by:])
	default:
		copy(out[-by:], row)
	}
}

// fits reports whether a corner is within reach of 16-bit fixed point.
func fits(m [6]float64, x, y int) bool {
	u, v := float64(x), float64(y)
	return math.Abs(u*m[0]+v*m[1]+m[2]) < 32768 && math.Abs(u*m[3]+v*m[4]+m[5]) < 32768
}

// fixed reads the nearest pixel with coordinates in 16-bit fixed point, as
// Pillow does: the rounding of its steps is visible in the result.
func fixed(dst, src Image, m [6]float64) {
	fix := func(v float64) int { return int(math.Floor(v*65536 + 0.5)) }
	dx, dy := fix(m[0]), fix(m[3])
	u0, v0 := fix(m[2]+m[0]*0.5+m[1]*0.5), fix(m[5]+m[3]*0.5+m[4]*0.5)
	du, dv := fix(m[1]), fix(m[4])
	for y := range dst.H {
		u, v := u0+y*du, v0+y*dv
		// Only a run of the row lies inside; leave the rest as it is.
		a, b := inside(u, dx, src.W<<16, 0, dst.W)
		a, b = inside(v, dy, src.H<<16, a, b)
		if a >= b {
			continue
		}
		u, v = u+a*dx, v+a*dy
		if src.C == 1 {
			out := dst.Pix[y*dst.W+a : y*dst.W+b]
			for i := range out {
				out[i] = src.Pix[v>>16*src.W+u>>16]
				u += dx
				v += dy
			}
			continue
		}
		out := dst.Pix[(y*dst.W+a)*3 : (y*dst.W+b)*3]
		for ; len(out) >= 3; out = out[3:] {
			at := (v>>16*src.W + u>>16) * 3
			in := src.Pix[at : at+3 : at+3]
			out[0], out[1], out[2] = in[0], in[1], in[2]
			u += dx
			v += dy
		}
	}
}

// inside narrows the run [a, b) of steps i to those with 0 ≤ at + i·by < end.
func inside(at, by, end, a, b int) (int, int) {
	switch {
	case by > 0: // −at/by ≤ i < (end − at)/by, rounded up
		return max(a, ceil(-at, by)), min(b, ceil(end-at, by))
	case by < 0: // (at − end)/−by < i ≤ at/−by
		return max(a, floor(at-end, -by)+1), min(b, floor(at, -by)+1)
	case at < 0 || at >= end:
		return a, a
	}
	return a, b
}

// floor and ceil divide by a positive number.
func floor(n, d int) int {
	q := n / d
	if n%d < 0 {
		q--
	}
	return q
}

func ceil(n, d int) int { return -floor(-n, d) }

// floating reads the nearest pixel of images too large for fixed point.
func floating(dst, src Image, m [6]float64) {
	c := src.C
	xo, yo := m[2]+m[1]*0.5+m[0]*0.5, m[5]+m[4]*0.5+m[3]*0.5
	for y := range dst.H {
		u, v := xo, yo
		for x := range dst.W {
			sx, sy := coordinate(u), coordinate(v)
			if sx >= 0 && sx < src.W && sy >= 0 && sy < src.H {
				at := (y*dst.W + x) * c
				copy(dst.Pix[at:at+c], src.Pix[(sy*src.W+sx)*c:])
			}
			u += m[0]
			v += m[3]
		}
		xo += m[1]
		yo += m[4]
	}
}

// bilinear mixes the four nearest pixels in double precision; beyond the
// centres of the outermost pixels those are repeated.
func bilinear(dst, src Image, m [6]float64) {
	c, w, h := src.C, src.W, src.H
	for y := range dst.H {
		for x := range dst.W {
			u, v := float64(x)+0.5, float64(y)+0.5
			sx := float64(float64(m[0]*u)+float64(m[1]*v)) + m[2]
			sy := float64(float64(m[3]*u)+float64(m[4]*v)) + m[5]
			if !(sx >= 0 && sx < float64(w) && sy >= 0 && sy < float64(h)) {
				continue
			}
			sx -= 0.5
			sy -= 0.5
			fx, fy := math.Floor(sx), math.Floor(sy)
			dx, dy := sx-fx, sy-fy
			left, top := int(fx), int(fy)
			x0, x1 := max(left, 0)*c, min(left+1, w-1)*c
			r0, r1 := src.Pix[max(top, 0)*w*c:], src.Pix[min(top+1, h-1)*w*c:]
			out := dst.Pix[(y*dst.W+x)*c:][:c]
			for i := range out {
				a := lerp(float64(r0[x0+i]), float64(r0[x1+i]), dx)
				b := lerp(float64(r1[x0+i]), float64(r1[x1+i]), dx)
				out[i] = uint8(lerp(a, b, dy))
			}
		}
	}
}

func lerp(a, b, d float64) float64 { return a + float64((b-a)*d) }

package pil

import "math"

// Blur is ImageFilter.GaussianBlur: three passes in each direction with a box
// whose ends have a fractional weight (Gwosdek et al. 2011, "Theoretical
// foundations of Gaussian convolution by extended box filtering"), each
// rounded to 8 bits, with the outermost pixels repeated. The zero value is
// ready. It keeps memory from one image to the next and is not safe for
// concurrent use.
type Blur struct {
	a, b []uint8
	sums []uint32
}

const passes = 3

// box is an extended box filter: pixels up to radius away have the weight
// full, the next one on each side part, in 24-bit fixed point.
type box struct {
	radius     int
	full, part uint32
}

// newBox follows Pillow's mixture of single and double precision.
func newBox(sigma float32) box {
	variance := float32(sigma*sigma) / passes
	length := float32(math.Sqrt(float64(12*float64(variance)) + 1))
	whole := float32(math.Floor((float64(length) - 1) / 2))
	a := float32(float32(2*whole+1) * float32(float32(whole*float32(whole+1))-float32(3*variance)))
	a /= float32(6 * float32(variance-float32(float32(whole+1)*float32(whole+1))))
	radius := whole + a
	full := uint32(float32(1<<24) / (float32(radius*2) + 1))
	r := int(radius)
	return box{radius: r, full: full, part: (1<<24 - uint32(2*r+1)*full) / 2}
}

// Gaussian blurs with a standard deviation of sigma pixels; 0 copies. dst and
// src must not overlap.
func (g *Blur) Gaussian(dst, src Image, sigma float64) {
	check(dst, src)
	if sigma <= 0 || len(src.Pix) == 0 {
		copy(dst.Pix, src.Pix)
		return
	}
	f := newBox(float32(sigma))
	stride := src.W * src.C
	g.a, g.b, g.sums = grow(g.a, stride), grow(g.b, stride), grow(g.sums, stride)
	for y := range src.H {
		from := src.Pix[y*stride : (y+1)*stride]
		out := dst.Pix[y*stride : (y+1)*stride]
		f.row(out, from, src.C)
		f.row(g.a, out, src.C)
		f.row(out, g.a, src.C)
	}
	whole := grow(g.b, len(src.Pix))
	g.b = whole
	f.columns(whole, dst.Pix, stride, src.H, g.sums)
	f.columns(dst.Pix, whole, stride, src.H, g.sums)
	f.columns(whole, dst.Pix, stride, src.H, g.sums)
	copy(dst.Pix, whole)
}

// row filters one row of interleaved channels.
func (f box) row(dst, src []uint8, c int) {
	n := len(src) / c
	at := func(x, i int) uint32 { return uint32(src[min(max(x, 0), n-1)*c+i]) }
	for i := range c {
		var sum uint32
		for x := -f.radius - 1; x < f.radius; x++ { // centred on −1
			sum += at(x, i)
		}
		for x := range n {
			far := at(x-f.radius-1, i)
			sum += at(x+f.radius, i) - far
			dst[x*c+i] = f.mean(sum, far+at(x+f.radius+1, i))
		}
	}
}

// columns filters all columns of h rows at once.
func (f box) columns(dst, src []uint8, stride, h int, sums []uint32) {
	row := func(y int) []uint8 { return src[min(max(y, 0), h-1)*stride:][:stride] }
	clear(sums)
	for y := -f.radius - 1; y < f.radius; y++ {
		for i, v := range row(y) {
			sums[i] += uint32(v)
		}
	}
	for y := range h {
		before, last, after := row(y-f.radius-1), row(y+f.radius), row(y+f.radius+1)
		out := dst[y*stride:][:stride]
		for i := range out {
			sums[i] += uint32(last[i]) - uint32(before[i])
			out[i] = f.mean(sums[i], uint32(before[i])+uint32(after[i]))
		}
	}
}

func (f box) mean(sum, far uint32) uint8 {
	return uint8((sum*f.full + far*f.part + 1<<23) >> 24)
}

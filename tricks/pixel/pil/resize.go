package pil

import (
	"fmt"
	"math"
)

// Resizer is Image.resize in 8 bits: a separable filter, stretched when the
// image shrinks so that it does not alias, with weights in 22-bit fixed
// point, rounded to 8 bits after each of its two passes. The zero value is
// ready. It keeps memory from one image to the next and is not safe for
// concurrent use.
type Resizer struct {
	x, y axis
	mid  []uint8
	sums []int32
}

const precision = 22

// axis holds the weights of one direction: for each output pixel the first
// input pixel and its weights.
type axis struct {
	first, count []int
	weights      []int32
	stride       int
	scratch      []float64
}

// Crop is a window of an image in whole pixels.
type Crop struct{ X, Y, W, H int }

// Resize writes the window of src, seen on its own, to dst with dst's width
// and height. dst and src must not overlap. It panics if the window is empty
// or leaves the image, or if f is Nearest.
func (r *Resizer) Resize(dst, src Image, w Crop, f Filter) {
	if w.W < 1 || w.H < 1 || w.X < 0 || w.Y < 0 || w.X+w.W > src.W || w.Y+w.H > src.H || dst.C != src.C {
		panic(fmt.Sprintf("pil: resize %+v of %d×%d×%d", w, src.W, src.H, src.C))
	}
	in := window{pix: src.Pix[(w.Y*src.W+w.X)*src.C:], stride: src.W * src.C}
	if dst.W != w.W {
		r.x.prepare(w.W, dst.W, f)
		r.mid = grow(r.mid, dst.W*w.H*src.C)
		out := window{pix: r.mid, stride: dst.W * src.C}
		if src.C == 3 {
			r.x.horizontal3(out, in, dst.W, w.H)
		} else {
			r.x.horizontal1(out, in, dst.W, w.H)
		}
		in = out
	}
	values := dst.W * dst.C
	if dst.H == w.H {
		for y := range dst.H {
			copy(dst.Pix[y*values:(y+1)*values], in.pix[y*in.stride:])
		}
		return
	}
	r.y.prepare(w.H, dst.H, f)
	r.sums = grow(r.sums, values)
	r.y.vertical(dst, in, r.sums)
}

type window struct {
	pix    []uint8
	stride int
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// support is the reach of a filter at its natural size.
func (f Filter) support() float64 {
	switch f {
	case Bilinear:
		return 1
	case Bicubic:
		return 2
	case Lanczos:
		return 3
	case Box:
		return 0.5
	}
	panic(fmt.Sprintf("pil: resize with filter %d", f))
}

func (f Filter) weight(x float64) float64 {
	switch f {
	case Bilinear:
		return max(0, 1-math.Abs(x))
	case Bicubic:
		const a = -0.5
		switch x = math.Abs(x); {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
	case Lanczos:
		if -3 <= x && x < 3 {
			return sinc(x) * sinc(x/3)
		}
	case Box:
		if x > -0.5 && x <= 0.5 {
			return 1
		}
	}
	return 0
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// prepare computes the weights from in to out pixels.
func (a *axis) prepare(in, out int, f Filter) {
	scale := float64(in) / float64(out)
	stretch := max(scale, 1)
	reach := f.support() * stretch
	a.stride = int(math.Ceil(reach))*2 + 1
	a.first, a.count = grow(a.first, out), grow(a.count, out)
	a.weights, a.scratch = grow(a.weights, out*a.stride), grow(a.scratch, a.stride)
	shrink := 1 / stretch
	for i := range out {
		centre := (float64(i) + 0.5) * scale
		lo := max(int(centre-reach+0.5), 0)
		n := min(int(centre+reach+0.5), in) - lo
		sum := 0.0
		for j := range n {
			w := f.weight((float64(j+lo) - centre + 0.5) * shrink)
			a.scratch[j] = w
			sum += w
		}
		for j, w := range a.scratch[:n] {
			if sum != 0 {
				w /= sum
			}
			a.weights[i*a.stride+j] = int32(math.Copysign(0.5, w) + w*(1<<precision))
		}
		a.first[i], a.count[i] = lo, n
	}
}

// clip rounds a sum that starts at half a level.
func clip(sum int32) uint8 { return uint8(min(max(sum>>precision, 0), 255)) }

const half = 1 << (precision - 1)

func (a *axis) horizontal3(out, in window, width, height int) {
	for y := range height {
		dst, src := out.pix[y*out.stride:][:width*3], in.pix[y*in.stride:]
		for x := range width {
			n := a.count[x]
			k := a.weights[x*a.stride:][:n]
			s := src[a.first[x]*3:][:n*3]
			s0, s1, s2 := int32(half), int32(half), int32(half)
			for _, w := range k {
				if len(s) < 3 {
					break // never: it only tells the compiler the bounds
				}
				s0 += int32(s[0]) * w
				s1 += int32(s[1]) * w
				s2 += int32(s[2]) * w
				s = s[3:]
			}
			d := dst[x*3 : x*3+3]
			d[0], d[1], d[2] = clip(s0), clip(s1), clip(s2)
		}
	}
}

func (a *axis) horizontal1(out, in window, width, height int) {
	for y := range height {
		dst, src := out.pix[y*out.stride:][:width], in.pix[y*in.stride:]
		for x := range dst {
			s := src[a.first[x]:][:a.count[x]]
			sum := int32(half)
			for i, w := range a.weights[x*a.stride:][:len(s)] {
				sum += int32(s[i]) * w
			}
			dst[x] = clip(sum)
		}
	}
}

func (a *axis) vertical(dst Image, in window, sums []int32) {
	for y := range dst.H {
		for i := range sums {
			sums[i] = half
		}
		for j, w := range a.weights[y*a.stride:][:a.count[y]] {
			row := in.pix[(a.first[y]+j)*in.stride:][:len(sums)]
			for i, v := range row {
				sums[i] += int32(v) * w
			}
		}
		out := dst.Pix[y*len(sums):][:len(sums)]
		for i, s := range sums {
			out[i] = clip(s)
		}
	}
}

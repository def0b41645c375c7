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
}

const precision = 22

// axis holds the weights of one direction: for each output pixel the first
// input pixel and its weights.
type axis struct {
	first, count []int
	weights      []int32
	stride       int
	scratch      []float64
	negative     bool // the filter has negative weights

	// The same for vector instructions; see horizontalRGB.
	offsets, pairs []int32
}

// Crop is a window of an image in whole pixels.
type Crop struct{ X, Y, W, H int }

// Grid says where the pixels of a result lie along one axis of the source:
// the centre of pixel i is at Origin + Start + (First+i+½)·Step in the source,
// whose pixel j covers j to j+1. Only the source's pixels Lo to Hi−1 are
// looked at. Rounding is that of an image that begins at Origin.
type Grid struct {
	Origin      int
	Start, Step float64
	First       int
	Lo, Hi      int
}

// Resize writes the window of src, seen on its own, to dst with dst's width
// and height. dst and src must not overlap. It panics if the window is empty
// or leaves the image, or if f is Nearest.
func (r *Resizer) Resize(dst, src Image, w Crop, f Filter) {
	r.Sample(dst, src, whole(w.X, w.W, dst.W), whole(w.Y, w.H, dst.H), f)
}

func whole(from, n, out int) Grid {
	return Grid{Origin: from, Step: float64(n) / float64(out), Lo: from, Hi: from + n}
}

// Sample writes the pixels of src at the points of two grids to dst. Where a
// grid's step is above 1 the filter is as much wider. dst and src must not
// overlap. It panics if a grid allows no pixel or pixels outside the image, if
// a point lies out of the filter's reach of those allowed, or if f is Nearest.
func (r *Resizer) Sample(dst, src Image, x, y Grid, f Filter) {
	if x.Lo < 0 || x.Lo >= x.Hi || x.Hi > src.W || y.Lo < 0 || y.Lo >= y.Hi || y.Hi > src.H || dst.C != src.C {
		panic(fmt.Sprintf("pil: resize %+v by %+v of %d×%d×%d", x, y, src.W, src.H, src.C))
	}
	stride := src.W * src.C
	first, rows := 0, 0
	plainY := y.plain()
	if plainY {
		first, rows = y.from(), dst.H
	} else {
		r.y.prepare(y, dst.H, f)
		first = y.Lo + r.y.first[0]
		rows = y.Lo + r.y.first[dst.H-1] + r.y.count[dst.H-1] - first
	}
	in := window{pix: src.Pix[first*stride:], stride: stride}
	if x.plain() {
		in.pix = in.pix[x.from()*src.C:]
	} else {
		r.x.prepare(x, dst.W, f)
		in.pix = in.pix[x.Lo*src.C:]
		out := window{pix: dst.Pix, stride: dst.W * src.C}
		if !plainY {
			r.mid = grow(r.mid, dst.W*rows*src.C+1)
			out.pix = r.mid
		}
		if src.C == 3 {
			r.x.rows3(out, in, dst.W, rows)
		} else {
			r.x.horizontal1(out, in, dst.W, rows)
		}
		in = out
	}
	values := dst.W * dst.C
	switch {
	case !plainY:
		base := r.y.first[0]
		for i := range dst.H {
			r.y.first[i] -= base
		}
		r.y.vertical(dst, in)
	case !x.plain(): // it is there already
	default:
		for i := range dst.H {
			copy(dst.Pix[i*values:(i+1)*values], in.pix[i*in.stride:])
		}
	}
}

// plain tells whether every point is the middle of a pixel.
func (g Grid) plain() bool { return g.Step == 1 && g.Start == math.Trunc(g.Start) }

// from is the pixel that the first point of a plain grid is the middle of.
func (g Grid) from() int { return g.Origin + int(g.Start) + g.First }

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

// Support is the reach of a filter at its natural size.
func (f Filter) Support() float64 {
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

// prepare computes the weights of out points. The first input pixels are
// counted from the grid's Lo.
func (a *axis) prepare(g Grid, out int, f Filter) {
	from, to := g.Lo-g.Origin, g.Hi-g.Origin
	stretch := max(g.Step, 1)
	reach := f.Support() * stretch
	a.stride = int(math.Ceil(reach))*2 + 1
	a.first, a.count = grow(a.first, out), grow(a.count, out)
	a.weights, a.scratch = grow(a.weights, out*a.stride), grow(a.scratch, a.stride)
	a.negative = f == Bicubic || f == Lanczos
	shrink := 1 / stretch
	for i := range out {
		centre := g.Start + (float64(g.First+i)+0.5)*g.Step
		lo := max(int(centre-reach+0.5), from)
		n := min(int(centre+reach+0.5), to) - lo
		if n < 1 {
			panic(fmt.Sprintf("pil: point %d of %+v sees no pixel", i, g))
		}
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
		a.first[i], a.count[i] = lo-from, n
	}
}

package pil

import "math"

// ShearX moves each row to the left by level times its distance from the top,
// in pixels: AutoAugment's matrix (1, level, 0, 0, 1, 0).
func ShearX(dst, src Image, level float64, f Filter, outside Colour) {
	Affine(dst, src, [6]float64{1, level, 0, 0, 1, 0}, f, outside)
}

// ShearY moves each column up by level times its distance from the left, in
// pixels.
func ShearY(dst, src Image, level float64, f Filter, outside Colour) {
	Affine(dst, src, [6]float64{1, 0, 0, level, 1, 0}, f, outside)
}

// TranslateX moves the image to the right by a number of pixels.
func TranslateX(dst, src Image, pixels float64, f Filter, outside Colour) {
	Affine(dst, src, [6]float64{1, 0, -pixels, 0, 1, 0}, f, outside)
}

// TranslateY moves the image down by a number of pixels.
func TranslateY(dst, src Image, pixels float64, f Filter, outside Colour) {
	Affine(dst, src, [6]float64{1, 0, 0, 0, 1, -pixels}, f, outside)
}

// Rotate is Image.rotate: counter-clockwise by degrees about the centre,
// keeping the size.
func Rotate(dst, src Image, degrees float64, f Filter, outside Colour) {
	check(dst, src)
	degrees = math.Mod(degrees, 360)
	if degrees < 0 {
		degrees += 360
	}
	// Pillow turns by whole quarters without resampling; so does the matrix
	// with its exact zeroes and ones, but for the filter.
	quarter := degrees == 0 || degrees == 180 || (degrees == 90 || degrees == 270) && src.W == src.H
	if quarter {
		turn(dst, src, int(degrees)/90)
		return
	}
	a := -degrees * (math.Pi / 180)
	sin, cos := sincos(a)
	sin, cos = round15(sin), round15(cos)
	cx, cy := float64(src.W)/2, float64(src.H)/2
	m := [6]float64{cos, sin, 0, -sin, cos, 0}
	m[2] = float64(cos*-cx) + float64(sin*-cy) + cx
	m[5] = float64(-sin*-cx) + float64(cos*-cy) + cy
	Affine(dst, src, m, f, outside)
}

// round15 rounds to 15 decimals, which makes exact zeroes of almost zeroes.
// Like Python it rounds the exact value, so the product's error is added.
func round15(v float64) float64 {
	p := math.Abs(v) * 1e15
	n := math.Floor(p)
	if (p-n)+math.FMA(math.Abs(v), 1e15, -p) > 0.5 {
		n++
	}
	return math.Copysign(n/1e15, v)
}

// turn rotates counter-clockwise by quarters.
func turn(dst, src Image, quarters int) {
	c, w, h := src.C, src.W, src.H
	for y := range h {
		for x := range w {
			sx, sy := x, y
			switch quarters {
			case 1:
				sx, sy = w-1-y, x
			case 2:
				sx, sy = w-1-x, h-1-y
			case 3:
				sx, sy = y, h-1-x
			}
			copy(dst.Pix[(y*w+x)*c:(y*w+x+1)*c], src.Pix[(sy*w+sx)*c:])
		}
	}
}

// Cutout paints the square of side pixels whose centre is the pixel (x, y),
// clipped at the border: from x − side/2 to x − side/2 + side.
func Cutout(dst, src Image, x, y, side int, colour Colour) {
	check(dst, src)
	copy(dst.Pix, src.Pix)
	left, top := x-side/2, y-side/2
	x0, x1 := max(left, 0), min(left+side, src.W)
	y0, y1 := max(top, 0), min(top+side, src.H)
	if x0 >= x1 {
		return
	}
	for y := y0; y < y1; y++ {
		row := dst.Pix[(y*src.W+x0)*src.C : (y*src.W+x1)*src.C]
		fill(Image{W: x1 - x0, H: 1, C: src.C, Pix: row}, colour)
	}
}

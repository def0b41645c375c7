package pil

import "math"

// Hue is torchvision's adjust_hue on a Pillow image: the hue, in Pillow's
// 8-bit HSV, is turned by factor, −0.5 to 0.5 of the circle. The way through
// 8-bit HSV changes colours a little even where factor is 0. One-channel
// images stay.
func Hue(dst, src Image, factor float64) {
	check(dst, src)
	if src.C == 1 {
		copy(dst.Pix, src.Pix)
		return
	}
	by := uint8(int32(factor * 255)) // cut off towards 0, then modulo 256
	d := dst.Pix
	for s := src.Pix; len(s) >= 3 && len(d) >= 3; s, d = s[3:], d[3:] {
		h, sat, v := toHSV(s[0], s[1], s[2])
		d[0], d[1], d[2] = fromHSV(h+by, sat, v)
	}
}

func toHSV(r, g, b uint8) (h, s, v uint8) {
	hi, lo := max(r, g, b), min(r, g, b)
	if hi == lo {
		return 0, 0, hi
	}
	span := float32(hi - lo)
	rc, gc, bc := float32(hi-r)/span, float32(hi-g)/span, float32(hi-b)/span
	var turn float32
	switch hi {
	case r:
		turn = bc - gc
	case g:
		turn = float32(2 + float64(rc) - float64(bc))
	default:
		turn = float32(4 + float64(gc) - float64(rc))
	}
	t := float64(turn)/6 + 1 // 5/6 to 1 + 5/6
	if t >= 1 {
		t-- // fmod(t, 1), exact
	}
	return uint8(float64(float32(t)) * 255), uint8(float64(span/float32(hi)) * 255), hi
}

// sectors are the sixths of the circle, and how far into its sector each
// 8-bit hue lies.
var sectors, fractions = func() (i [256]uint8, f [256]float32) {
	for h := range i {
		at := float64(float32(h)) * 6 / 255
		i[h] = uint8(at) % 6
		f[h] = float32(at - math.Floor(at))
	}
	return i, f
}()

func fromHSV(h, s, v uint8) (r, g, b uint8) {
	if s == 0 {
		return v, v, v
	}
	single, f := float32(s)/255, fractions[h]
	sat, value := float64(single), float64(v)
	p := halfUp(value * (1 - sat))
	q := func() uint8 { return halfUp(value * (1 - float64(single*f))) }
	t := func() uint8 { return halfUp(value * (1 - float64(sat*(1-float64(f))))) }
	switch sectors[h] {
	case 0:
		return v, t(), p
	case 1:
		return q(), v, p
	case 2:
		return p, v, t()
	case 3:
		return p, q(), v
	case 4:
		return t(), p, v
	}
	return v, p, q()
}

// halfUp rounds a number of 0 to 255 as C's round does: halves upwards. The
// sum is exact enough: only the largest double below ½ would round wrongly,
// and it does not occur.
func halfUp(x float64) uint8 { return uint8(x + 0.5) }

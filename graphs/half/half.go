// Package half converts to and from IEEE 754 half precision (float16): one sign
// bit, five of exponent, ten of fraction. Its largest number is 65504, its
// smallest normal one 2⁻¹⁴, its smallest 2⁻²⁴.
package half

import "math"

// Max is the largest finite number.
const Max = 65504

// Bits returns the float16 nearest to x, ties to even, as its bits.
func Bits(x float32) uint16 {
	b := math.Float32bits(x)
	sign := uint16(b >> 16 & 0x8000)
	exp, man := int(b>>23&0xff), b&0x7fffff
	switch {
	case exp == 0xff && man != 0:
		return sign | 0x7e00
	case exp == 0xff:
		return sign | 0x7c00
	}
	e := exp - 127 + 15
	shift := 13
	if e < 1 {
		if e < -10 {
			return sign
		}
		// A subnormal: the leading one joins the digits.
		man |= 0x800000
		shift += 1 - e
		e = 0
	}
	h := uint32(e)<<10 + man>>shift
	if rest, tie := man&(1<<shift-1), uint32(1)<<(shift-1); rest > tie || rest == tie && h&1 == 1 {
		h++ // a carry moves on into the exponent, up to infinity
	}
	if h >= 0x7c00 {
		return sign | 0x7c00
	}
	return sign | uint16(h)
}

// Float returns the value of a float16 given as its bits.
func Float(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, man := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exp {
	case 0:
		return math.Float32frombits(math.Float32bits(float32(man)/(1<<24)) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | man<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// Round returns the half-precision number nearest to x, ties to even, and an
// infinity beyond the largest.
func Round(x float64) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	_, e := math.Frexp(x) // x = f·2^e, ½ ≤ |f| < 1
	unit := math.Ldexp(1, max(e-11, -24))
	r := math.RoundToEven(x/unit) * unit
	if math.Abs(r) > Max {
		return math.Inf(int(math.Copysign(1, r)))
	}
	return r
}

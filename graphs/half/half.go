// Package half converts to and from IEEE 754 half precision (float16): one sign
// bit, five of exponent, ten of fraction. Its largest number is 65504, its
// smallest normal one 2⁻¹⁴, its smallest 2⁻²⁴.
package half

import (
	"math"

	"github.com/x448/float16"
)

// Max is the largest finite number.
const Max = 65504

// Bits returns the float16 nearest to x, ties to even, as its bits.
func Bits(x float32) uint16 { return float16.Fromfloat32(x).Bits() }

// Float returns the value of a float16 given as its bits.
func Float(h uint16) float32 { return float16.Frombits(h).Float32() }

// Round returns the half-precision number nearest to x, ties to even, and an
// infinity beyond the largest. It rounds once, where going through float32 would
// round twice.
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

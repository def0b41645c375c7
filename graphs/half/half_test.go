package half_test

import (
	"math"
	"testing"

	"github.com/ortrain/ortrain/graphs/half"
)

// TestKnown are numbers of the standard and those on either side of a tie.
func TestKnown(t *testing.T) {
	for _, c := range []struct {
		x    float32
		bits uint16
	}{
		{0, 0}, {float32(math.Copysign(0, -1)), 0x8000}, {1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff}, {65519.996, 0x7bff},
		{65520, 0x7c00}, {float32(math.Inf(1)), 0x7c00}, {-1e30, 0xfc00}, {0x1p-14, 0x0400}, {0x1p-24, 1},
		{0x1p-25, 0}, {0x1.8p-25, 1}, {0x1p-26, 0}, {1 + 0x1p-11, 0x3c00}, {1 + 0x1.8p-10, 0x3c02}, {1.0 / 3, 0x3555},
	} {
		if got := half.Bits(c.x); got != c.bits {
			t.Errorf("Bits(%g) = %#04x, want %#04x", c.x, got, c.bits)
		}
		if got := half.Round(float64(c.x)); got != float64(half.Float(c.bits)) {
			t.Errorf("Round(%g) = %g, want %g", c.x, got, half.Float(c.bits))
		}
	}
	if !math.IsNaN(half.Round(math.NaN())) || half.Bits(float32(math.NaN()))&0x7fff <= 0x7c00 {
		t.Error("a number that is none becomes one")
	}
}

// TestEvery goes through all 65,536 bit patterns.
func TestEvery(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		x := half.Float(h)
		if h&0x7c00 == 0x7c00 && h&0x3ff != 0 {
			if !math.IsNaN(float64(x)) {
				t.Fatalf("Float(%#04x) = %g", h, x)
			}
			continue
		}
		if half.Bits(x) != h || half.Round(float64(x)) != float64(x) {
			t.Fatalf("%#04x is %g, which comes back as %#04x and %g", h, x, half.Bits(x), half.Round(float64(x)))
		}
		// Between two neighbours both ways of rounding agree.
		if next := half.Float(h + 1); h&0x7fff < 0x7bff {
			for _, share := range []float64{0.25, 0.5, 0.75} {
				y := float32(float64(x) + share*float64(next-x))
				if got := half.Float(half.Bits(y)); float64(got) != half.Round(float64(y)) {
					t.Fatalf("%g rounds to %g and %g", y, got, half.Round(float64(y)))
				}
			}
		}
	}
}

package deploy

import (
	"math"
	"testing"
)

// TestHalf: known answers of IEEE 754, ties to even, and every float16 there is.
func TestHalf(t *testing.T) {
	for _, c := range []struct {
		x    float32
		bits uint16
	}{
		{0, 0}, {float32(math.Copysign(0, -1)), 0x8000}, {1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff}, {65519, 0x7bff}, {65520, 0x7c00},
		{0.1, 0x2e66}, {1 + 1./2048, 0x3c00}, {1 + 3./2048, 0x3c02}, // ties go to even
		{6.1035156e-05, 0x0400}, {5.9604645e-08, 0x0001}, {2.9802322e-08, 0x0000}, {2.9802326e-08, 0x0001}, {8.940697e-08, 0x0002},
		{6.1005e-05, 0x03ff}, {float32(math.Inf(-1)), 0xfc00}, {1e30, 0x7c00}, {-1e-30, 0x8000},
	} {
		if got := Half(c.x); got != c.bits {
			t.Errorf("Half(%g) = %#04x, want %#04x", c.x, got, c.bits)
		}
	}
	for i := range 1 << 16 {
		h := uint16(i)
		x := FromHalf(h)
		if x != x {
			if h&0x7c00 != 0x7c00 || h&0x3ff == 0 {
				t.Fatalf("FromHalf(%#04x) is not a number", h)
			}
			continue
		}
		if Half(x) != h {
			t.Fatalf("%#04x is %g, which comes back as %#04x", h, x, Half(x))
		}
	}
}

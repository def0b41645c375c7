package pil

import (
	"math"
	"testing"
)

func TestSincos(t *testing.T) {
	for _, tt := range []struct{ degrees, sin, cos float64 }{ // Python's math, glibc
		{0, 0, 1},
		{45, 0x1.6a09e667f3bccp-1, 0x1.6a09e667f3bcdp-1},
		{-135, -0x1.6a09e667f3bcdp-1, -0x1.6a09e667f3bccp-1},
		{-225, 0x1.6a09e667f3bccp-1, -0x1.6a09e667f3bcep-1},
		{30, 0x1.fffffffffffffp-2, 0x1.bb67ae8584cabp-1},
		{-300, 0x1.bb67ae8584caap-1, 0x1.0000000000001p-1},
		{-101.3, -0x1.f6131fe0df2f9p-1, -0x1.914c364a642bdp-3},
		{5, 0x1.64fd6b8c28102p-4, 0x1.fe0d3b41815a2p-1},
	} {
		if s, c := sincos(tt.degrees * (math.Pi / 180)); s != tt.sin || c != tt.cos {
			t.Errorf("%v°: %x %x, want %x %x", tt.degrees, s, c, tt.sin, tt.cos)
		}
	}
	for a := -7.0; a < 7; a += 0.001 {
		s, c := sincos(a)
		if math.Abs(s-math.Sin(a)) > 4e-16 || math.Abs(c-math.Cos(a)) > 4e-16 {
			t.Fatalf("%v: %v %v, want %v %v", a, s, c, math.Sin(a), math.Cos(a))
		}
	}
}

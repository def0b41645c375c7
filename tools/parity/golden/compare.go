package golden

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"
)

// Digest is the SHA-256 of the values' little-endian bytes, in hexadecimal.
func Digest(v []float32) string {
	h := sha256.New()
	binary.Write(h, binary.LittleEndian, v) // a hash never fails
	return hex.EncodeToString(h.Sum(nil))
}

// Within fails the test if a value is off by more than the tolerance, relative
// to the largest that is wanted; it returns by how much the worst is.
func Within(t testing.TB, name string, got []float32, want []float64, tolerance float64) float64 {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%s has %d elements, want %d", name, len(got), len(want))
	}
	var diff, size float64
	for i, w := range want {
		if g := float64(got[i]); math.IsNaN(g) {
			diff = math.Inf(1)
		} else {
			diff = max(diff, math.Abs(g-w))
		}
		size = max(size, math.Abs(w))
	}
	if diff > tolerance*size {
		t.Errorf("%s is off by %.2g of its largest element, at most %g allowed", name, diff/size, tolerance)
	}
	return diff / size
}

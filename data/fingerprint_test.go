package data

import (
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// TestFingerprint: whatever differs in a subset differs in its fingerprint.
func TestFingerprint(t *testing.T) {
	set := func(change func(pix []uint8, labels []int, classes []string)) *Memory {
		pix, labels, classes := make([]uint8, 4*12), []int{0, 1, 0, 1}, []string{"a", "b"}
		for i := range pix {
			pix[i] = uint8(i)
		}
		change(pix, labels, classes)
		m, err := NewMemory(pixel.Size{W: 2, H: 2, C: 3}, classes, pix, labels)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	same := func([]uint8, []int, []string) {}
	seen := map[[32]byte]string{}
	for name, s := range map[string]*Subset{
		"whole":          Whole(set(same)),
		"a pixel":        Whole(set(func(p []uint8, _ []int, _ []string) { p[47]++ })),
		"a label":        Whole(set(func(_ []uint8, l []int, _ []string) { l[3] = 0 })),
		"a class's name": Whole(set(func(_ []uint8, _ []int, c []string) { c[1] = "c" })),
		"order":          Some(set(same), []uint32{1, 0, 2, 3}),
		"part":           Some(set(same), []uint32{0, 1, 2}),
	} {
		f, err := Fingerprint(s)
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := seen[f]; taken {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[f] = name
	}
	first, _ := Fingerprint(Whole(set(same)))
	if seen[first] != "whole" {
		t.Error("equal subsets have different fingerprints")
	}
}

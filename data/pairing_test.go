package data

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// SamplePairing takes a second image from the training images, and nowhere
// else; which, does not depend on the workers.
func TestSamplePairing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pairing.yaml")
	if err := os.WriteFile(path, []byte("- - {op: SamplePairing, p: 0.8, magnitude: 9}\n  - {op: Invert, p: 0.3}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	options := func(testing.TB) LoaderOptions {
		opt := trainOptions(t)
		o := &pixel.AutoAugmentOptions{Policy: path, Ranges: "torchvision", Fill: "black", Interpolation: "nearest"}
		c, err := pixel.NewChain(pixel.Info{In: rgb, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}}, pixel.Named{Name: "autoaugment", Options: o})
		if err != nil {
			t.Fatal(err)
		}
		opt.Chain = c
		return opt
	}
	sameForAnyWorkers(t, options, 3*14)

	// Of two white images among black ones, only white may appear.
	pix := make([]uint8, 8*rgb.Elements())
	for i := range 2 * rgb.Elements() {
		pix[i] = 255
	}
	source, err := NewMemory(rgb, []string{"a", "b"}, pix, make([]int, 8))
	if err != nil {
		t.Fatal(err)
	}
	opt := options(t)
	opt.Batch = 2
	l := start(t, Some(source, []uint32{0, 1}), opt)
	b, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range b.Images {
		if v != 1 && v != 0 { // inverted
			t.Fatalf("value %v: paired with an image outside the subset", v)
		}
	}
}

package recipe_test

import (
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

func TestByteImages(t *testing.T) {
	for _, c := range []struct {
		settings         string
		want, evaluation bool
		problem          string
	}{
		{"", false, false, ""},
		{"provider=cuda", true, true, ""},
		{"provider=cuda data.images=float32", false, false, ""},
		{"provider=cuda augment=[crop,cutout]", false, true, ""},
		{"provider=cuda data.images=auto mix=[mixup]", false, true, ""},
		{"provider=cuda mix=[cutmix,ricap] augment=[crop,mirror,autoaugment]", true, true, ""},
		{"data.images=uint8", true, true, ""},
		{"data.images=uint8 augment=[crop,cutout]", false, true, "cutout (augment) works on normalised images"},
		{"data.images=uint8 mix=[cutmix,mixup]", false, true, "mixup (mix) works on normalised images"},
	} {
		r := recipe.Default()
		for _, s := range strings.Fields("augment=[crop,mirror] data.mean=[0.5,0.5,0.5] data.std=[0.2,0.2,0.2] " + c.settings) {
			if err := r.Set(s); err != nil {
				t.Fatal(s, err)
			}
		}
		r, err := r.Resolve()
		if err != nil {
			t.Fatal(c.settings, err)
		}
		chain, err := r.BuildAugment(pixel.Size{W: 32, H: 32, C: 3})
		if err != nil {
			t.Fatal(err)
		}
		mix, err := r.BuildMix()
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.ByteImages(chain, mix)
		if got != c.want || (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%q: %v, %v", c.settings, got, err)
		}
		if got := r.ByteEvaluation(); got != c.evaluation {
			t.Errorf("%q: evaluated as bytes: %v", c.settings, got)
		}
	}
	r := recipe.Default()
	if err := r.Set("data.images=uint16"); err == nil {
		_, err = r.Resolve()
		if err == nil || !strings.Contains(err.Error(), "uint8") {
			t.Errorf("unknown form: %v", err)
		}
	}
}

// The form of the images does not change the numbers, so that runs of either
// are one run.
func TestHashIgnoresTheFormOfImages(t *testing.T) {
	hashes := map[string]bool{}
	for _, form := range []string{"", "auto", "uint8", "float32"} {
		r := recipe.Default()
		if err := r.Set("data.images=" + form); err != nil {
			t.Fatal(err)
		}
		h, err := r.Hash()
		if err != nil {
			t.Fatal(err)
		}
		hashes[h] = true
	}
	if len(hashes) != 1 {
		t.Errorf("%d hashes", len(hashes))
	}
}

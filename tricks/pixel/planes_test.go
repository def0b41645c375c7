package pixel

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Images that are left as 8-bit planes and normalised afterwards are, bit for
// bit, those that the chain normalises, by a product and a sum.
func TestBytePlanesAreTheNormalisedOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, channels := range []int{1, 3} {
		in := Size{W: 13, H: 9, C: channels}
		info := Info{In: in, Mean: []float64{0.4914, 0.4822, 0.4465}[:channels], Std: []float64{0.247, 0.2435, 0.2616}[:channels]}
		var steps []Named
		for _, name := range []string{"crop", "mirror", "rotation", "autoaugment", "mirror"} {
			o, err := Transforms.Defaults(name)
			if err != nil {
				t.Fatal(err)
			}
			if channels == 3 || name != "autoaugment" {
				steps = append(steps, Named{name, o})
			}
		}
		for n := range steps {
			c, err := NewChain(info, steps[:n+1]...)
			if err != nil {
				t.Fatal(err)
			}
			if name := c.NeedsFloats(); name != "" {
				t.Fatalf("%s is said to need normalised images", name)
			}
			w := c.NewWorker()
			scale, shift := c.Normaliser().Affine()
			for i := range 40 {
				img := noise(r, in)
				want, bytes := make([]float32, c.Out().Elements()), make([]uint8, c.Out().Elements())
				w.Apply(want, img, 3, 1, i)
				w.ApplyBytes(bytes, img, 3, 1, i)
				got := make([]float32, len(bytes))
				c.Normaliser().ApplyPlanes(got, bytes, c.Out())
				if !slices.Equal(got, want) {
					t.Fatalf("%d channels, %d steps, image %d: bytes normalised later differ", channels, n+1, i)
				}
				plane := c.Out().W * c.Out().H
				for k, v := range bytes {
					p := float32(v) * scale[k/plane]
					if s := p + shift[k/plane]; math.Float32bits(s) != math.Float32bits(want[k]) {
						t.Fatalf("value %d is normalised to %v, by product and sum it is %v", v, want[k], s)
					}
				}
			}
		}
	}
}

// The table is within rounding of the definition.
func TestNormaliserIsExactEnough(t *testing.T) {
	n, err := NewNormaliser([]float64{0.485}, []float64{0.229})
	if err != nil {
		t.Fatal(err)
	}
	for v, got := range n.table[0] {
		if want := (float64(v)/255 - 0.485) / 0.229; math.Abs(float64(got)-want) > 4e-7 {
			t.Errorf("%d is normalised to %v, want %v", v, got, want)
		}
	}
}

func TestChainsThatNeedFloats(t *testing.T) {
	for _, name := range []string{"cutout", "random_erasing", "gridmask", "hide_and_seek"} {
		o, err := Transforms.Defaults(name)
		if err != nil {
			t.Fatal(err)
		}
		in := Size{W: 32, H: 32, C: 3}
		c, err := NewChain(Info{In: in, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}}, Named{name, o})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.NeedsFloats(); got != name {
			t.Errorf("%s: NeedsFloats is %q", name, got)
		}
		func() {
			defer func() {
				if r, _ := recover().(string); !strings.Contains(r, name) {
					t.Errorf("%s: panic %q", name, r)
				}
			}()
			c.NewWorker().ApplyBytes(make([]uint8, in.Elements()), noise(rand.New(rand.NewPCG(1, 1)), in), 1, 1, 1)
		}()
	}
}

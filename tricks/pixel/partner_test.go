package pixel

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// images are partners.
type images []*Image

func (l images) Len() int                   { return len(l) }
func (l images) Read(i int) (*Image, error) { return l[i], nil }

// torn are partners that cannot be read.
type torn struct{}

func (torn) Len() int                 { return 1 }
func (torn) Read(int) (*Image, error) { return nil, errors.New("image 7: torn") }

// pairing is a chain that pairs every image with a weight of 0.4.
func pairing(t *testing.T, size Size, before ...Named) *Chain {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pairing.yaml")
	if err := os.WriteFile(path, []byte("- [{op: SamplePairing, magnitude: 9}]"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := &AutoAugmentOptions{Policy: path, Ranges: "torchvision", Fill: "black", Interpolation: "nearest"}
	chain, err := NewChain(Info{In: size, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}}, append(before, Named{"autoaugment", o})...)
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// SamplePairing blends with partners chosen uniformly, the same ones whatever
// ran before, and without allocating.
func TestSamplePairing(t *testing.T) {
	size := Size{4, 3, 3}
	flat := func(v uint8) *Image {
		m := &Image{}
		m.Reset(size)
		for i := range m.Pix {
			m.Pix[i] = v
		}
		return m
	}
	partners := images{flat(0), flat(50), flat(150), flat(200), flat(250)}
	chain := pairing(t, size)
	a, b := chain.NewWorker(), chain.NewWorker()
	a.Pair(partners)
	b.Pair(partners)
	src, x, y := flat(100), make([]float32, size.Elements()), make([]float32, size.Elements())
	counts := map[int]int{}
	const n = 5000
	for i := range n {
		a.Apply(x, src, 3, 1, i)
		b.Apply(y, src, 3, 1, n-1-i)
		b.Apply(y, src, 3, 1, i)
		if !slices.Equal(x, y) {
			t.Fatalf("image %d depends on what ran before", i)
		}
		counts[int(x[0]*255+0.5)]++
	}
	// 100 + 0.4·(v − 100), cut off as Pillow does.
	for _, v := range []int{60, 80, 120, 140, 160} {
		if c := counts[v]; c < 850 || c > 1150 {
			t.Errorf("value %d came %d times of %d", v, c, n)
		}
	}
	if len(counts) != 5 {
		t.Errorf("values %v", counts)
	}
	i := 0
	if n := testing.AllocsPerRun(100, func() { a.Apply(x, src, 1, 0, i); i++ }); n != 0 {
		t.Errorf("%v allocations an image", n)
	}
}

// A partner of another size is resized to the image at that step.
func TestSamplePairingFits(t *testing.T) {
	size := Size{16, 16, 3}
	chain := pairing(t, size, Named{"random_resized_crop", &RandomResizedCropOptions{Size: 8, AreaMin: 1, AreaMax: 1, AspectMin: 1, AspectMax: 1, Interpolation: "bilinear"}})
	w := chain.NewWorker()
	r := rand.New(rand.NewPCG(2, 2))
	src, other := noise(r, size), noise(r, size)
	w.Pair(images{other})
	x := make([]float32, chain.Out().Elements())
	w.Apply(x, src, 1, 0, 0)
	if chain.Out() != (Size{8, 8, 3}) {
		t.Fatalf("out %v", chain.Out())
	}
	own := pairing(t, size, Named{"random_resized_crop", &RandomResizedCropOptions{Size: 8, AreaMin: 1, AreaMax: 1, AspectMin: 1, AspectMax: 1, Interpolation: "bilinear"}}).NewWorker()
	own.Pair(images{src}) // its own partner: the blend is the image
	y := make([]float32, len(x))
	own.Apply(y, src, 1, 0, 0)
	own.Pair(images{other})
	z := make([]float32, len(x))
	own.Apply(z, other, 1, 0, 0)
	for i := range x {
		if want := y[i] + 0.4*(z[i]-y[i]); x[i] < want-1.01/255 || x[i] > want+1.01/255 {
			t.Fatalf("element %d: %v, want about %v", i, x[i]*255, want*255)
		}
	}
}

// What cannot be paired is a panic that says why; the loader makes it an error.
func TestSamplePairingPanics(t *testing.T) {
	size := Size{4, 3, 3}
	for want, partners := range map[string]Partners{"there are no images to pair with": nil, "partner image: image 7: torn": torn{}} {
		func() {
			defer func() {
				if p, ok := recover().(string); !ok || !strings.HasPrefix(p, want) {
					t.Errorf("panic %q, want %q", p, want)
				}
			}()
			w := pairing(t, size).NewWorker()
			w.Pair(partners)
			src := &Image{}
			src.Reset(size)
			w.Apply(make([]float32, size.Elements()), src, 1, 0, 0)
		}()
	}
}

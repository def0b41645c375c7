package pixel

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// varied returns a chain that takes images of any size.
func varied(t testing.TB, in Size, steps ...Named) *Chain {
	t.Helper()
	info := info(in)
	info.Vary = true
	c, err := NewChain(info, steps...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cut returns the part of an image that holds a window and a little more.
func cut(r *rand.Rand, src *Image, w Wanted) *Part {
	x, y := r.IntN(w.X+1), r.IntN(w.Y+1)
	p := &Part{X: x, Y: y, Shrink: 1, Of: src.Size}
	p.Reset(Size{w.X + w.W - x + r.IntN(src.W-w.X-w.W+1), w.Y + w.H - y + r.IntN(src.H-w.Y-w.H+1), src.C})
	for i := range p.H {
		copy(p.Pix[i*p.W*p.C:(i+1)*p.W*p.C], src.Pix[((y+i)*src.W+x)*src.C:])
	}
	return p
}

// A chain makes the same of a part of an image as of the whole, if the part
// holds what is wanted.
func TestPartEqualsWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	for _, steps := range [][]Named{
		nil,
		{named(t, "mirror", nil), named(t, "cutout", nil)},
		{named(t, "random_resized_crop", nil), named(t, "mirror", nil)},
		{named(t, "random_resized_crop", &RandomResizedCropOptions{Size: 20, AreaMin: 0.01, AreaMax: 0.2, AspectMin: 0.5, AspectMax: 2, Interpolation: "lanczos"})},
		{named(t, "resize", &ResizeOptions{Size: 30, Short: 37, Interpolation: "bicubic"}), named(t, "crop", &CropOptions{Size: 24, Border: "zero"})},
		{named(t, "resize", &ResizeOptions{Short: 33, Interpolation: "box"})},
	} {
		c := varied(t, Size{32, 32, 3}, steps...)
		if !c.Varies() {
			t.Fatal("the chain does not take images of any size")
		}
		a, b := c.NewWorker(), c.NewWorker()
		x, y := make([]float32, c.Out().Elements()), make([]float32, c.Out().Elements())
		for i := range 60 {
			src := noise(r, Size{1 + r.IntN(150), 1 + r.IntN(150), 3})
			a.Apply(x, src, 3, 1, i)
			b.Sample(src.Size, 3, 1, i)
			b.ApplyPart(y, cut(r, src, b.Wants()))
			if !slices.Equal(x, y) {
				t.Fatalf("%+v on %v: image %d differs", steps, src.Size, i)
			}
		}
	}
}

// A part made smaller gives about the pixels of the whole: images are smooth
// where it is used, that is, where they shrink to less than half.
func TestShrunkPartIsClose(t *testing.T) {
	const w, h = 400, 300
	src := &Image{Size: Size{w, h, 1}, Pix: make([]uint8, w*h)}
	for i := range src.Pix {
		x, y := i%w, i/w
		src.Pix[i] = uint8(x*200/w + y*50/h)
	}
	half := &Part{Shrink: 2, Of: src.Size}
	half.Reset(Size{w / 2, h / 2, 1})
	for y := range h / 2 {
		for x := range w / 2 {
			at := 2*y*w + 2*x
			half.Pix[y*w/2+x] = uint8((int(src.Pix[at]) + int(src.Pix[at+1]) + int(src.Pix[at+w]) + int(src.Pix[at+w+1]) + 2) / 4)
		}
	}
	for _, steps := range [][]Named{nil, {named(t, "random_resized_crop", nil)}, {named(t, "resize", &ResizeOptions{Short: 70, Interpolation: "bilinear"})}} {
		c := varied(t, Size{64, 64, 1}, steps...)
		a, b := c.NewWorker(), c.NewWorker()
		x, y := make([]float32, c.Out().Elements()), make([]float32, c.Out().Elements())
		scale := 255 * info(Size{1, 1, 1}).Std[0]
		for i := range 20 {
			a.Apply(x, src, 3, 1, i)
			b.Sample(src.Size, 3, 1, i)
			b.ApplyPart(y, half)
			for j := range x {
				if d := float64(x[j]-y[j]) * scale; d > 2.01 || d < -2.01 {
					t.Fatalf("%+v: image %d, value %d differs by %.1f levels", steps, i, j, d)
				}
			}
		}
	}
}

func TestVariedChainsRefuse(t *testing.T) {
	in := info(Size{32, 32, 3})
	in.Vary = true
	if _, err := NewChain(in, named(t, "resize", &ResizeOptions{Size: 32, Short: 20, Interpolation: "bilinear"})); err == nil || !strings.Contains(err.Error(), "short") {
		t.Errorf("a middle larger than the image: error %v", err)
	}
	c := varied(t, Size{32, 32, 3})
	defer func() {
		if recover() == nil {
			t.Error("a grey image went through a chain of colours")
		}
	}()
	c.NewWorker().Apply(make([]float32, 32*32*3), noise(rand.New(rand.NewPCG(1, 1)), Size{9, 9, 1}), 0, 0, 0)
}

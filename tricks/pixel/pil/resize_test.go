package pil

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func noisy(r *rand.Rand, w, h, c int) Image {
	m := Image{w, h, c, make([]uint8, w*h*c)}
	for i := range m.Pix {
		m.Pix[i] = uint8(r.Uint32())
		if r.IntN(3) == 0 {
			m.Pix[i] = uint8(255 * (r.IntN(2))) // so that filters overshoot
		}
	}
	return m
}

// The vector instructions give what Go gives, for every filter, window and
// size, and write nothing beside.
func TestVectorsEqualGo(t *testing.T) {
	if !vectors {
		t.Skip("no vector instructions on this machine")
	}
	defer func() { vectors = true }()
	r := rand.New(rand.NewPCG(8, 9))
	var fast, slow Resizer
	for i := range 1500 {
		src := noisy(r, 1+r.IntN(70), 1+r.IntN(50), 1+2*r.IntN(2))
		w := Crop{W: 1 + r.IntN(src.W), H: 1 + r.IntN(src.H)}
		w.X, w.Y = r.IntN(src.W-w.W+1), r.IntN(src.H-w.H+1)
		f := []Filter{Bilinear, Bicubic, Lanczos, Box}[i%4]
		a, b := noisy(r, 1+r.IntN(60), 1+r.IntN(40), src.C), Image{}
		n := len(a.Pix)
		a.Pix = append(a.Pix, 0xAA, 0xAA, 0xAA, 0xAA)
		b = Image{a.W, a.H, a.C, slices.Clone(a.Pix)}
		vectors = true
		fast.Resize(Image{a.W, a.H, a.C, a.Pix[:n]}, src, w, f)
		vectors = false
		slow.Resize(Image{a.W, a.H, a.C, b.Pix[:n:n]}, src, w, f)
		if !slices.Equal(a.Pix, b.Pix) {
			t.Fatalf("%+v of %d×%d×%d to %d×%d, filter %d: the two differ", w, src.W, src.H, src.C, a.W, a.H, f)
		}
	}
}

// A part of a resized image is the same whether the whole is resized or the
// part alone, and whether the source is whole or cut to what is needed.
func TestSampleIsPartOfResize(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 9))
	var rs Resizer
	for i := range 400 {
		src := noisy(r, 20+r.IntN(70), 20+r.IntN(50), 3)
		whole := Image{8 + r.IntN(90), 8 + r.IntN(70), 3, nil}
		whole.Pix = make([]uint8, whole.W*whole.H*3)
		f := []Filter{Bilinear, Bicubic, Lanczos, Box}[i%4]
		rs.Resize(whole, src, Crop{W: src.W, H: src.H}, f)
		part := Image{1 + r.IntN(whole.W), 1 + r.IntN(whole.H), 3, nil}
		part.Pix = make([]uint8, part.W*part.H*3)
		ox, oy := r.IntN(whole.W-part.W+1), r.IntN(whole.H-part.H+1)
		sx, sy := float64(src.W)/float64(whole.W), float64(src.H)/float64(whole.H)
		rs.Sample(part, src, Grid{Step: sx, First: ox, Hi: src.W}, Grid{Step: sy, First: oy, Hi: src.H}, f)
		for y := range part.H {
			a, b := part.Pix[y*part.W*3:(y+1)*part.W*3], whole.Pix[((oy+y)*whole.W+ox)*3:][:part.W*3]
			if !slices.Equal(a, b) {
				t.Fatalf("filter %d: row %d of the part differs", f, y)
			}
		}
	}
}

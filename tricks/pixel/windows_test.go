package pixel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/rng"
)

func TestRandomResizedCrop(t *testing.T) {
	c := RandomResizedCrop{W: 24, H: 24, AreaMin: 0.08, AreaMax: 1, AspectMin: 3.0 / 4, AspectMax: 4.0 / 3, Filter: pil.Bilinear}
	in := Size{200, 160, 3}
	s := rng.NewStream()
	const n = 20000
	var below, small float64
	for i := range n {
		s.Reset(1, 0, i, 3)
		p := c.Sample(s, in)
		x, y, w, h := p.Int[0], p.Int[1], p.Int[2], p.Int[3]
		if x < 0 || y < 0 || w < 1 || h < 1 || x+w > in.W || y+h > in.H {
			t.Fatalf("window %v", p.Int)
		}
		area, aspect := float64(w*h)/float64(in.W*in.H), float64(w)/float64(h)
		if area < 0.078 || area > 1 || aspect < 0.735 || aspect > 1.36 {
			t.Fatalf("area %v, aspect %v", area, aspect)
		}
		if area < 0.3 {
			small++
			if aspect < 1 {
				below++
			}
		}
	}
	// Small windows always fit: their share is (0.3 − 0.08)/0.92 of the
	// draws that were not refused, so at least that of all; half stand.
	if small/n < 0.22/0.92-0.015 || small/n > 0.3 {
		t.Errorf("%v of the windows are small", small/n)
	}
	if share := below / small; math.Abs(share-0.5) > 5*math.Sqrt(0.25/small)+0.01 {
		t.Errorf("%v of the small windows stand", share)
	}
	// torchvision's fallback, after ten windows that do not fit.
	for _, tt := range []struct {
		in   Size
		want [4]int
	}{
		{Size{100, 10, 1}, [4]int{43, 0, 13, 10}}, // round(10·4/3) = 13, (100−13)//2
		{Size{10, 100, 1}, [4]int{0, 43, 10, 13}}, // round(10/0.75) = 13
		{Size{11, 10, 1}, [4]int{0, 0, 11, 10}},
	} {
		whole := c
		whole.AreaMin, whole.AreaMax = 1, 1
		if tt.in.W == 11 { // 1.1 is allowed, but no draw fits exactly
			whole.AreaMin, whole.AreaMax = 1.5, 1.5
		}
		if p := whole.Sample(s, tt.in); [4]int(p.Int[:4]) != tt.want {
			t.Errorf("%v: %v, want %v", tt.in, p.Int[:4], tt.want)
		}
	}
	// The window of the image itself is a copy.
	src := noise(rand.New(rand.NewPCG(1, 1)), Size{24, 24, 3})
	if got := apply(c, src, Params{Int: [16]int{0, 0, 24, 24}}); !slices.Equal(got.Pix, src.Pix) {
		t.Error("resizing to the same size changes pixels")
	}
}

func TestRotation(t *testing.T) {
	src := noise(rand.New(rand.NewPCG(1, 1)), Size{9, 6, 1})
	s := rng.NewStream()
	r := Rotation{Degrees: 40, Outside: pil.Colour{7}}
	lo, hi := 99.0, -99.0
	for i := range 3000 {
		s.Reset(1, 0, i, 3)
		p := r.Sample(s, src.Size)
		lo, hi = min(lo, p.Float[0]), max(hi, p.Float[0])
	}
	if lo < -40 || lo > -39.5 || hi > 40 || hi < 39.5 {
		t.Errorf("angles from %v to %v", lo, hi)
	}
	var p Params
	p.Float[0] = 180
	want := slices.Clone(src.Pix)
	slices.Reverse(want)
	if got := apply(r, src, p); !slices.Equal(got.Pix, want) {
		t.Errorf("half a turn: %v, want %v", got.Pix, want)
	}
}

func TestRandomErasing(t *testing.T) {
	in := Size{40, 30, 3}
	e := RandomErasing{P: 0.5, AreaMin: 0.02, AreaMax: 0.4, Aspect: 0.3, Tries: 100}
	s := rng.NewStream()
	const n = 20000
	var done, standing, area float64
	for i := range n {
		s.Reset(1, 0, i, 3)
		p := e.Sample(s, Size{40, 40, 3})
		if p.Skip {
			continue
		}
		done++
		w, h := p.Int[2], p.Int[3]
		if p.Int[0] < 0 || p.Int[1] < 0 || p.Int[0]+w > 40 || p.Int[1]+h > 40 {
			t.Fatalf("rectangle %v", p.Int[:4])
		}
		if h > w {
			standing++
		} else if h == w {
			standing += 0.5
		}
		area = max(area, float64(w*h)/1600)
	}
	if math.Abs(done-n/2) > 5*math.Sqrt(n/4) || math.Abs(standing-done/2) > 5*math.Sqrt(done/4) || area > 0.42 {
		t.Errorf("%v erased, %v of them standing, largest %v", done, standing, area)
	}

	// The rectangle is filled and nothing else is.
	norm, err := NewNormaliser(info(in).Mean, info(in).Std)
	if err != nil {
		t.Fatal(err)
	}
	e.levels = norm
	p := Params{Int: [16]int{3, 5, 20, 10}, Seed: 77}
	for _, f := range []ErasingFill{EraseNoise, EraseGaussian, EraseColour, EraseMean} {
		e.Fill = f
		x, y := make([]float32, in.Elements()), make([]float32, in.Elements())
		fill(x, 100)
		fill(y, 200)
		e.ApplyPlanes(x, in, &p)
		e.ApplyPlanes(y, in, &p)
		values, sum := map[float32]bool{}, 0.0
		for c := range 3 {
			for yy := range in.H {
				for xx := range in.W {
					at := (c*in.H+yy)*in.W + xx
					if inside := xx >= 3 && xx < 23 && yy >= 5 && yy < 15; inside != (x[at] == y[at]) {
						t.Fatalf("fill %d at %d,%d: %v", f, xx, yy, x[at])
					} else if inside {
						values[x[at]] = true
						sum += float64(x[at])
						if level := (float64(x[at])*info(in).Std[c] + info(in).Mean[c]) * 255; f != EraseGaussian && f != EraseMean &&
							(level < -0.01 || level > 255.01 || math.Abs(level-math.Round(level)) > 0.01) {
							t.Fatalf("fill %d: %v is no 8-bit level", f, level)
						}
					}
				}
			}
		}
		if least := map[ErasingFill]int{EraseNoise: 250, EraseGaussian: 590, EraseColour: 3, EraseMean: 1}[f]; len(values) < least ||
			f >= EraseColour && len(values) != least {
			t.Errorf("fill %d has %d different values", f, len(values))
		}
		if f == EraseGaussian && math.Abs(sum/600) > 5/math.Sqrt(600) {
			t.Errorf("mean of the Gaussian noise is %v", sum/600)
		}
	}
}

func TestGridMask(t *testing.T) {
	in := Size{8, 6, 3}
	x := make([]float32, in.Elements())
	fill(x, 1)
	// Units of 4 of which 2 are kept, shifted by 1 and 0: columns u = x + 1,
	// rows v = y, blank where both are at least 2 modulo 4.
	p := Params{Int: [16]int{4, 2, 1, 0}}
	GridMask{}.ApplyPlanes(x, in, &p)
	for c := range 3 {
		for y := range in.H {
			for i := range in.W {
				want := float32(1)
				if (i+1)%4 >= 2 && y%4 >= 2 {
					want = 0
				}
				if x[(c*in.H+y)*in.W+i] != want {
					t.Fatalf("%d,%d,%d: want %v", i, y, c, want)
				}
			}
		}
	}
	// Whatever the angle, (1 − ratio)² of the pixels are blank on average.
	g := GridMask{P: 1, UnitMin: 0.2, UnitMax: 0.5, Ratio: 0.5, Rotate: 360}
	s, blank := rng.NewStream(), 0.0
	in = Size{64, 64, 1}
	for i := range 300 {
		s.Reset(1, 0, i, 3)
		p := g.Sample(s, in)
		if p.Int[0] < 13 || p.Int[0] > 32 || p.Int[2] >= p.Int[0] || p.Int[3] >= p.Int[0] {
			t.Fatalf("%v", p.Int)
		}
		x := make([]float32, in.Elements())
		fill(x, 1)
		g.ApplyPlanes(x, in, &p)
		for _, v := range x {
			blank += float64(1-v) / 300 / float64(in.Elements())
		}
	}
	if math.Abs(blank-0.25) > 0.015 {
		t.Errorf("%v of the pixels are blank, want 0.25", blank)
	}
}

func TestHideAndSeek(t *testing.T) {
	in := Size{10, 7, 3}
	h := HideAndSeek{P: 0.5, Sizes: []int{4}}
	s, hidden, patches := rng.NewStream(), 0, 0
	for i := range 400 {
		s.Reset(1, 0, i, 3)
		p := h.Sample(s, in)
		x := make([]float32, in.Elements())
		fill(x, 1)
		h.ApplyPlanes(x, in, &p)
		for top := 0; top < in.H; top += 4 {
			for left := 0; left < in.W; left += 4 {
				first := x[top*in.W+left]
				patches++
				if first == 0 {
					hidden++
				}
				for c := range 3 {
					for y := top; y < min(top+4, in.H); y++ {
						for xx := left; xx < min(left+4, in.W); xx++ {
							if x[(c*in.H+y)*in.W+xx] != first {
								t.Fatalf("the patch at %d,%d is torn", left, top)
							}
						}
					}
				}
			}
		}
	}
	if math.Abs(float64(hidden)-float64(patches)/2) > 5*math.Sqrt(float64(patches)/4) {
		t.Errorf("%d of %d patches hidden", hidden, patches)
	}
	tr, err := (&HideAndSeekOptions{P: 0.5}).Build(info(Size{32, 32, 3}))
	if err != nil || !slices.Equal(tr.(HideAndSeek).Sizes, []int{0, 2, 5, 6, 8}) {
		t.Errorf("sizes %v, %v", tr, err)
	}
	tr, _ = (&HideAndSeekOptions{P: 0.5}).Build(info(Size{224, 224, 3}))
	if !slices.Equal(tr.(HideAndSeek).Sizes, []int{0, 16, 32, 44, 56}) {
		t.Errorf("sizes %v", tr)
	}
}

package pixel

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
)

// grey makes a one-channel image from rows.
func grey(rows ...[]uint8) *Image {
	m := &Image{Size: Size{len(rows[0]), len(rows), 1}}
	for _, r := range rows {
		m.Pix = append(m.Pix, r...)
	}
	return m
}

func noise(r *rand.Rand, s Size) *Image {
	m := &Image{}
	m.Reset(s)
	for i := range m.Pix {
		m.Pix[i] = uint8(r.UintN(256))
	}
	return m
}

func apply(t Pixels, src *Image, p Params) *Image {
	dst := &Image{}
	dst.Reset(t.Size(src.Size))
	for i := range dst.Pix {
		dst.Pix[i] = 0xAA // Apply must write everything
	}
	t.Apply(dst, src, &p)
	return dst
}

func place(x, y int) (p Params) {
	p.Int[0], p.Int[1] = x, y
	return p
}

func TestCrop(t *testing.T) {
	src := grey([]uint8{1, 2, 3}, []uint8{4, 5, 6}, []uint8{7, 8, 9})
	tests := []struct {
		crop Crop
		at   Params
		want *Image
	}{
		{Crop{3, 3, 2, Zero}, place(0, 0), src},
		{Crop{3, 3, 2, Zero}, place(-2, -1), grey([]uint8{0, 0, 0}, []uint8{0, 0, 1}, []uint8{0, 0, 4})},
		{Crop{3, 3, 2, Zero}, place(1, 2), grey([]uint8{8, 9, 0}, []uint8{0, 0, 0}, []uint8{0, 0, 0})},
		{Crop{2, 2, 0, Zero}, place(1, 1), grey([]uint8{5, 6}, []uint8{8, 9})},
		// torch.nn.functional.pad(x, [2]*4, mode="reflect"): first and last rows
		{Crop{7, 7, 2, Reflect}, place(-2, -2), grey(
			[]uint8{9, 8, 7, 8, 9, 8, 7}, []uint8{6, 5, 4, 5, 6, 5, 4}, []uint8{3, 2, 1, 2, 3, 2, 1},
			[]uint8{6, 5, 4, 5, 6, 5, 4}, []uint8{9, 8, 7, 8, 9, 8, 7}, []uint8{6, 5, 4, 5, 6, 5, 4}, []uint8{3, 2, 1, 2, 3, 2, 1})},
		{Crop{3, 3, 4, Zero}, place(-4, -4), grey([]uint8{0, 0, 0}, []uint8{0, 0, 0}, []uint8{0, 0, 0})},
	}
	for i, tt := range tests {
		if got := apply(tt.crop, src, tt.at); got.Size != tt.want.Size || !slices.Equal(got.Pix, tt.want.Pix) {
			t.Errorf("%d: %v, want %v", i, got.Pix, tt.want.Pix)
		}
	}
}

func TestCropIsUniform(t *testing.T) {
	c, in := Crop{32, 32, 4, Zero}, Size{32, 32, 3}
	s, key := rng.NewStream(), rng.NewKey("crop")
	var xs, ys [9]int
	const n = 18000
	for i := range n {
		s.Reset(1, 0, i, key)
		p := c.Sample(s, in)
		xs[p.Int[0]+4]++ // panics outside −4…4
		ys[p.Int[1]+4]++
	}
	for i := range xs {
		for _, count := range []int{xs[i], ys[i]} {
			if math.Abs(float64(count)-n/9) > 5*math.Sqrt(n/9) {
				t.Errorf("offset %d drawn %d of %d times", i-4, count, n)
			}
		}
	}
}

func TestMirror(t *testing.T) {
	src := &Image{Size: Size{3, 1, 3}, Pix: []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9}}
	if got := apply(Mirror{1}, src, Params{}); !slices.Equal(got.Pix, []uint8{7, 8, 9, 4, 5, 6, 1, 2, 3}) {
		t.Errorf("got %v", got.Pix)
	}
	s, key := rng.NewStream(), rng.NewKey("mirror")
	for p, want := range map[float64]int{0: 0, 1: 10000, 0.5: 5000, 0.1: 1000} {
		flips := 0
		for i := range 10000 {
			s.Reset(3, 1, i, key)
			if !(Mirror{p}).Sample(s, src.Size).Skip {
				flips++
			}
		}
		if math.Abs(float64(flips-want)) > 5*math.Sqrt(10000*p*(1-p)) {
			t.Errorf("p %v: %d of 10000 flipped", p, flips)
		}
	}
}

func TestCutout(t *testing.T) {
	size := Size{4, 3, 3}
	x := make([]float32, size.Elements())
	for i := range x {
		x[i] = 1
	}
	Cutout{Side: 2, Holes: 2}.ApplyPlanes(x, size, &Params{Int: [16]int{0, 0, 3, 2}})
	want := []float32{0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0}
	for c := range 3 {
		if got := x[c*12 : (c+1)*12]; !slices.Equal(got, want) {
			t.Errorf("channel %d: %v, want %v", c, got, want)
		}
	}
	// Centres are uniform over the whole image, so corners are hit as often
	// as the middle, and the expected area is what the clipping leaves.
	s, key := rng.NewStream(), rng.NewKey("cutout")
	in := Size{32, 32, 1}
	var area, n float64
	for i := range 4000 {
		s.Reset(1, 0, i, key)
		p := Cutout{16, 1}.Sample(s, in)
		x := make([]float32, in.Elements())
		fill(x, 1)
		Cutout{16, 1}.ApplyPlanes(x, in, &p)
		for _, v := range x {
			area += float64(1 - v)
		}
		n++
	}
	// Mean width of a 16-hole with centre uniform in 0…31, clipped to 0…31:
	// (8+…+15 + 17·16 − 16·0 + …)/32, by enumeration:
	var width float64
	for c := range 32 {
		width += float64(min(c+8, 32) - max(c-8, 0))
	}
	width /= 32
	if got := area / n; math.Abs(got-width*width) > 4 {
		t.Errorf("mean area %.1f, want about %.1f", got, width*width)
	}
}

func TestNormaliser(t *testing.T) {
	n, err := NewNormaliser([]float64{0.5, 0.25, 0}, []float64{0.5, 0.25, 1})
	if err != nil {
		t.Fatal(err)
	}
	src := &Image{Size: Size{2, 1, 3}, Pix: []uint8{0, 255, 51, 255, 0, 102}}
	dst := make([]float32, 6)
	n.Apply(dst, src)
	want := []float32{-1, 1, 3, -1, 0.2, 0.4}
	for i := range want {
		if math.Abs(float64(dst[i]-want[i])) > 1e-6 {
			t.Errorf("got %v, want %v", dst, want)
			break
		}
	}
	for _, bad := range [][2][]float64{{{0.5}, {0}}, {{0.5}, {math.NaN()}}, {{0.5, 0.5}, {1, 1}}, {{0.5}, {1, 1, 1}}, {nil, nil}} {
		if _, err := NewNormaliser(bad[0], bad[1]); err == nil {
			t.Errorf("mean %v std %v accepted", bad[0], bad[1])
		}
	}
}

func info(s Size) Info {
	in := Info{In: s, Mean: []float64{0.4914, 0.4822, 0.4465}, Std: []float64{0.247, 0.2435, 0.2616}}
	in.Mean, in.Std = in.Mean[:s.C], in.Std[:s.C]
	return in
}

func named(t testing.TB, name string, o Options) Named {
	t.Helper()
	if o == nil {
		var err error
		if o, err = Transforms.Defaults(name); err != nil {
			t.Fatal(err)
		}
	}
	return Named{name, o}
}

// The fused pass and the general path are two ways to the same bytes, for any
// chain of crops and mirrors, colours or grey, borders, odd sizes.
func TestFusedEqualsGeneral(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	fused := 0
	for trial := range 400 {
		size := Size{1 + r.IntN(12), 1 + r.IntN(12), 1 + 2*r.IntN(2)}
		in := size
		var steps []Named
		for range r.IntN(5) {
			if r.IntN(2) == 0 {
				steps = append(steps, Named{"mirror", &MirrorOptions{P: 0.5}})
				continue
			}
			o := &CropOptions{Border: "zero", Padding: r.IntN(15)}
			if r.IntN(2) == 0 {
				o.Border, o.Padding = "reflect", r.IntN(min(in.W, in.H))
			}
			if r.IntN(2) == 0 {
				o.Size = 1 + r.IntN(min(in.W, in.H)+2*o.Padding)
				in.W, in.H = o.Size, o.Size
			}
			steps = append(steps, Named{"crop", o})
		}
		chain, err := NewChain(info(size), steps...)
		if err != nil {
			t.Fatal(err)
		}
		if chain.Out() != in {
			t.Fatalf("Out() = %v, want %v", chain.Out(), in)
		}
		a, b := chain.NewWorker(), chain.NewWorker()
		b.unfuse = true
		src := noise(r, size)
		keep := slices.Clone(src.Pix)
		for index := range 5 {
			x, y := make([]float32, in.Elements()), make([]float32, in.Elements())
			a.Apply(x, src, 9, trial, index)
			b.Apply(y, src, 9, trial, index)
			if !slices.Equal(x, y) {
				t.Fatalf("%v through %+v: fused %v\ngeneral %v", size, steps, x, y)
			}
			if _, ok := a.fuse(size); ok {
				fused++
			}
		}
		if !slices.Equal(keep, src.Pix) {
			t.Fatal("the source was changed")
		}
	}
	if fused < 1000 {
		t.Errorf("only %d of 2000 images took the fused pass", fused)
	}
}

func TestChainOrderAndErrors(t *testing.T) {
	in := info(Size{32, 32, 3})
	tests := []struct {
		steps []Named
		want  string
	}{
		{[]Named{named(t, "cutout", nil), named(t, "crop", nil)}, "1: crop works on 8-bit pixels, so it must come before cutout"},
		{[]Named{{"mirror", &MirrorOptions{P: 2}}}, "0.p: a probability, at least 0 and at most 1, got 2"},
		{[]Named{{"crop", &CropOptions{Border: "mirror"}}}, `0.border: unknown border "mirror"; valid: zero, reflect`},
		{[]Named{{"crop", &CropOptions{Border: "zero", Size: 33}}}, "0.size: 33 does not fit into 32×32×3 padded by 0"},
		{[]Named{{"crop", &CropOptions{Border: "reflect", Padding: 32}}}, "0.padding: 32 is too wide to reflect images of 32×32×3"},
		{[]Named{{"cutout", &CutoutOptions{Size: 16, Holes: 9}}}, "0.holes: must be 1 to 8, got 9"},
		{[]Named{{"cutout", &CutoutOptions{Size: 0, Holes: 1}}}, "0.size: must be 1 to 16384 pixels, got 0"},
	}
	for _, tt := range tests {
		if _, err := NewChain(in, tt.steps...); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	in.Mean = in.Mean[:1]
	in.Std = in.Std[:1]
	if _, err := NewChain(in); err == nil || !strings.Contains(err.Error(), "1 channels, the images 3") {
		t.Errorf("channels: %v", err)
	}
}

// A transform listed twice draws twice.
func TestRepeatedTransformDrawsAgain(t *testing.T) {
	chain, err := NewChain(info(Size{8, 8, 3}), named(t, "mirror", nil), named(t, "mirror", nil))
	if err != nil {
		t.Fatal(err)
	}
	w, differ := chain.NewWorker(), 0
	dst := make([]float32, 192)
	src := noise(rand.New(rand.NewPCG(1, 1)), Size{8, 8, 3})
	for i := range 200 {
		w.Apply(dst, src, 1, 0, i)
		if w.params[0].Skip != w.params[1].Skip {
			differ++
		}
	}
	if differ < 60 || differ > 140 {
		t.Errorf("two mirrors differ in %d of 200 images", differ)
	}
}

func TestWorkerDoesNotAllocate(t *testing.T) {
	chain, err := NewChain(info(Size{32, 32, 3}), named(t, "crop", nil), named(t, "mirror", nil), named(t, "cutout", nil))
	if err != nil {
		t.Fatal(err)
	}
	src := noise(rand.New(rand.NewPCG(1, 1)), Size{32, 32, 3})
	dst := make([]float32, 3072)
	for _, unfuse := range []bool{false, true} {
		w, i := chain.NewWorker(), 0
		w.unfuse = unfuse
		for ; i < 10; i++ {
			w.Apply(dst, src, 1, 0, i)
		}
		if n := testing.AllocsPerRun(100, func() { w.Apply(dst, src, 1, 0, i); i++ }); n != 0 {
			t.Errorf("unfuse %v: %v allocations an image", unfuse, n)
		}
	}
}

func TestWorkerPanicsOnWrongSizes(t *testing.T) {
	chain, err := NewChain(info(Size{4, 4, 3}))
	if err != nil {
		t.Fatal(err)
	}
	src := noise(rand.New(rand.NewPCG(1, 1)), Size{4, 4, 3})
	for _, f := range []func(){
		func() { chain.NewWorker().Apply(make([]float32, 47), src, 0, 0, 0) },
		func() { chain.NewWorker().Apply(make([]float32, 48), &Image{Size: Size{4, 5, 3}}, 0, 0, 0) },
		func() { chain.NewWorker().Apply(make([]float32, 48), &Image{Size: Size{4, 4, 3}}, 0, 0, 0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			f()
		}()
	}
}

func TestCatalogue(t *testing.T) {
	for _, name := range Transforms.Names() {
		if _, err := tricks.Lookup(name); err != nil {
			t.Error(err)
		}
		o, _ := Transforms.Defaults(name)
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func benchmarkChain(b *testing.B, unfuse bool, names ...string) {
	var steps []Named
	for _, n := range names {
		steps = append(steps, named(b, n, nil))
	}
	chain, err := NewChain(info(Size{32, 32, 3}), steps...)
	if err != nil {
		b.Fatal(err)
	}
	src := noise(rand.New(rand.NewPCG(1, 1)), Size{32, 32, 3})
	dst := make([]float32, 3072)
	w, i := chain.NewWorker(), 0
	w.unfuse = unfuse
	for b.Loop() {
		w.Apply(dst, src, 1, 0, i)
		i++
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "images/s")
}

func BenchmarkNormalise(b *testing.B)      { benchmarkChain(b, false) }
func BenchmarkCropMirror(b *testing.B)     { benchmarkChain(b, false, "crop", "mirror") }
func BenchmarkCropMirrorSlow(b *testing.B) { benchmarkChain(b, true, "crop", "mirror") }
func BenchmarkCropMirrorCutout(b *testing.B) {
	benchmarkChain(b, false, "crop", "mirror", "cutout")
}

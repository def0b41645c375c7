package pixel

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/rng"
)

// The jitter is its four operations in the drawn order; all orders come up,
// factors fill their ranges.
func TestColourJitter(t *testing.T) {
	src := noise(rand.New(rand.NewPCG(1, 4)), Size{7, 5, 3})
	j := ColourJitter{P: 1, Brightness: 0.4, Contrast: 1.5, Saturation: 0.2, Hue: 0.1}
	s := rng.NewStream()
	orders := map[[4]int]int{}
	lo, hi := [4]float64{9, 9, 9, 9}, [4]float64{}
	for i := range 4800 {
		s.Reset(1, 0, i, 3)
		p := j.Sample(s, src.Size)
		orders[[4]int(p.Int[:4])]++
		for k := range lo {
			lo[k], hi[k] = min(lo[k], p.Float[k]), max(hi[k], p.Float[k])
		}
		if i >= 100 {
			continue
		}
		want := slices.Clone(src.Pix)
		m := pil.Image{W: 7, H: 5, C: 3, Pix: want}
		for _, which := range p.Int[:4] {
			[]func(dst, src pil.Image, f float64){pil.Brightness, pil.Contrast, pil.Color, pil.Hue}[which](m, m, p.Float[which])
		}
		if got := apply(j, src, p); !slices.Equal(got.Pix, want) {
			t.Fatalf("draw %d %+v differs", i, p)
		}
	}
	if len(orders) != 24 {
		t.Errorf("%d orders of 24", len(orders))
	}
	for order, k := range orders {
		if math.Abs(float64(k)-200) > 5*math.Sqrt(200) {
			t.Errorf("order %v drawn %d times of 4800", order, k)
		}
	}
	wantLo, wantHi := [4]float64{0.6, 0, 0.8, -0.1}, [4]float64{1.4, 2.5, 1.2, 0.1}
	for k := range lo {
		if lo[k] < wantLo[k] || lo[k] > wantLo[k]+0.01 || hi[k] > wantHi[k] || hi[k] < wantHi[k]-0.01 {
			t.Errorf("factor %d is in %v to %v, want %v to %v", k, lo[k], hi[k], wantLo[k], wantHi[k])
		}
	}
	// A jitter of 0 is left out, even where its operation is no identity.
	only := ColourJitter{P: 1, Saturation: 0.3}
	p := only.Sample(s, src.Size)
	want := slices.Clone(src.Pix)
	m := pil.Image{W: 7, H: 5, C: 3, Pix: want}
	pil.Color(m, m, p.Float[2])
	if got := apply(only, src, p); !slices.Equal(got.Pix, want) {
		t.Error("jitters of 0 are not left out")
	}
}

func TestGrayscale(t *testing.T) {
	src := &Image{Size: Size{2, 1, 3}, Pix: []uint8{255, 0, 0, 10, 200, 30}}
	if got := apply(Grayscale{1}, src, Params{}); !slices.Equal(got.Pix, []uint8{76, 76, 76, 124, 124, 124}) {
		t.Errorf("got %v", got.Pix)
	}
	if got := apply(Grayscale{1}, grey([]uint8{1, 2}), Params{}); !slices.Equal(got.Pix, []uint8{1, 2}) {
		t.Errorf("one channel: %v", got.Pix)
	}
}

func TestPCAColour(t *testing.T) {
	src := &Image{Size: Size{1, 1, 3}, Pix: []uint8{100, 254, 1}}
	var p Params
	p.Float[0], p.Float[1], p.Float[2] = 2.4, 3, -7.6
	if got := apply(PCAColour{}, src, p); !slices.Equal(got.Pix, []uint8{102, 255, 0}) {
		t.Errorf("got %v", got.Pix)
	}
	// The shifts have covariance Σ (std·λ_i)²·p_i·p_iᵀ.
	c := PCAColour{PCA: imageNetPCA, Std: 0.1}
	s := rng.NewStream()
	const n = 40000
	var cov [3][3]float64
	for i := range n {
		s.Reset(1, 0, i, 5)
		p := c.Sample(s, src.Size)
		for a := range cov {
			for b := range cov {
				cov[a][b] += p.Float[a] * p.Float[b] / n
			}
		}
	}
	for a := range cov {
		for b := range cov {
			want := 0.0
			for i, v := range imageNetPCA.Values {
				want += math.Pow(0.1*v*255, 2) * imageNetPCA.Vectors[a][i] * imageNetPCA.Vectors[b][i]
			}
			if math.Abs(cov[a][b]-want) > 0.05*10 {
				t.Errorf("covariance %d,%d is %v, want %v", a, b, cov[a][b], want)
			}
		}
	}
}

func TestMeasurePCA(t *testing.T) {
	// Two images of two pixels: colours on the line (3, 4, 0)/5, mean at 0.4.
	images := []*Image{
		{Size: Size{2, 1, 3}, Pix: []uint8{60, 80, 100, 120, 160, 100}},
		{Size: Size{1, 2, 3}, Pix: []uint8{0, 0, 100, 180, 240, 100}},
	}
	read := func(i int, m *Image) error { *m = *images[i]; return nil }
	got, err := MeasurePCA(2, read)
	if err != nil {
		t.Fatal(err)
	}
	// Lengths 100, 200, 0, 300: variance 12500 levels².
	if want := 12500.0 / (255 * 255); math.Abs(got.Values[0]-want) > 1e-12 || got.Values[1] > 1e-12 || got.Values[2] > 1e-12 {
		t.Errorf("values %v, want %v, 0, 0", got.Values, want)
	}
	for c, want := range []float64{0.6, 0.8, 0} {
		if math.Abs(math.Abs(got.Vectors[c][0])-want) > 1e-9 {
			t.Errorf("vector %v", got.Vectors)
		}
	}
	// On random pixels: the decomposition gives the covariance back.
	r := rand.New(rand.NewPCG(3, 3))
	m := noise(r, Size{40, 40, 3})
	for i := 0; i < len(m.Pix); i += 3 {
		m.Pix[i+1] = m.Pix[i]/2 + m.Pix[i+1]/3
	}
	got, err = MeasurePCA(1, func(_ int, dst *Image) error { *dst = *m; return nil })
	if err != nil {
		t.Fatal(err)
	}
	var mean [3]float64
	for i, v := range m.Pix {
		mean[i%3] += float64(v) / 255 / 1600
	}
	for a := range 3 {
		for b := range 3 {
			cov, sum := 0.0, 0.0
			for i := 0; i < len(m.Pix); i += 3 {
				cov += (float64(m.Pix[i+a])/255 - mean[a]) * (float64(m.Pix[i+b])/255 - mean[b]) / 1600
			}
			for i, v := range got.Values {
				sum += v * got.Vectors[a][i] * got.Vectors[b][i]
			}
			if math.Abs(cov-sum) > 1e-10 {
				t.Errorf("covariance %d,%d: %v, want %v", a, b, sum, cov)
			}
		}
	}
	if !slices.IsSortedFunc(got.Values[:], func(a, b float64) int { return int(math.Copysign(1, b-a)) }) {
		t.Errorf("values %v do not fall", got.Values)
	}
	for _, tt := range []struct {
		n    int
		read func(i int, m *Image) error
		want string
	}{
		{0, read, "there are no pixels"},
		{1, func(int, *Image) error { return errors.New("torn") }, "image 0: torn"},
		{1, func(_ int, m *Image) error { *m = *grey([]uint8{1}); return nil }, "image 0 has 1 channels, not 3"},
	} {
		if _, err := MeasurePCA(tt.n, tt.read); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("got %v, want … %s", err, tt.want)
		}
	}
}

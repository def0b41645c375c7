package batch

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/ortrain/ortrain/tricks/rng"
)

// every is each trick in each of its modes.
var every = []Mixer{
	Mixup{0.2, PerBatch}, Mixup{1, PerPair}, Mixup{0.7, PerElement},
	CutMix{1, PerBatch}, CutMix{0.5, PerPair}, CutMix{1, PerElement},
	RICAP{0.3, PerBatch}, RICAP{0.3, PerElement},
}

func name(m Mixer) string { return fmt.Sprintf("%T%+v", m, m) }

func numbered(s Shape) []float32 {
	x := make([]float32, s.N*s.Image())
	for i := range x {
		x[i] = float32(i)
	}
	return x
}

func oneHot(n, k int) []float32 {
	rows := make([]float32, n*k)
	for i := range n {
		rows[i*k+i%k] = 1
	}
	return rows
}

// Every pixel of an output image is the weighted mean of its parts, or the
// pixel of the one part that shows there, and a part's weight is the share of
// the pixels that show it: checked against a loop over all pixels.
func TestMixedImagesAgainstEveryPixel(t *testing.T) {
	r := rng.NewStream()
	for _, m := range every {
		for trial := range 60 {
			s := Shape{N: 2 + trial%6, C: 1 + 2*(trial%2), H: 1 + trial%9, W: 1 + trial%7}
			r.Reset(1, 2, trial, 3)
			var d Draw
			m.Sample(r, s, &d)
			src := numbered(s)
			for i := range s.N {
				dst := make([]float32, s.Image())
				m.Apply(dst, src, s, &d, i)
				parts := d.Parts(i)
				shown := make([]int, len(parts))
				for c := range s.C {
					for y := range s.H {
						for x := range s.W {
							got := float64(dst[(c*s.H+y)*s.W+x])
							at := func(p Part, dx, dy int) float64 {
								return float64(src[((p.From*s.C+c)*s.H+y+dy)*s.W+x+dx])
							}
							want := 0.0
							if _, blend := m.(Mixup); blend {
								for _, p := range parts {
									want += p.Weight * at(p, 0, 0)
								}
							} else {
								top := -1 // the last part that shows here
								for k, p := range parts {
									if b := p.Box; x >= b.X0 && x < b.X1 && y >= b.Y0 && y < b.Y1 {
										top, want = k, at(p, p.X-b.X0, p.Y-b.Y0)
									}
								}
								shown[top]++
							}
							if math.Abs(got-want) > 1e-4*max(1, want) {
								t.Fatalf("%s %+v: image %d at (%d, %d, %d) is %v, want %v", name(m), s, i, c, y, x, got, want)
							}
						}
					}
				}
				sum := 0.0
				for k, p := range parts {
					sum += p.Weight
					if _, blend := m.(Mixup); !blend {
						if share := float64(shown[k]) / float64(s.Image()); math.Abs(share-p.Weight) > 1e-12 {
							t.Fatalf("%s %+v: part %d of image %d has weight %v and shows %v of the pixels", name(m), s, k, i, p.Weight, share)
						}
					}
				}
				if math.Abs(sum-1) > 1e-12 {
					t.Fatalf("%s: weights sum to %v", name(m), sum)
				}
			}
		}
	}
}

// Mixing the targets equals mixing the losses: for soft targets t and any
// log-probabilities q, the loss −Σ t·q is linear in t. Rows still sum to one.
func TestMixedTargetsEqualMixedLosses(t *testing.T) {
	const n, k = 7, 5
	r := rng.NewStream()
	src := make([]float32, n*k)
	logp := make([]float64, n*k)
	for i := range src {
		src[i], logp[i] = r.Float32(), -5*r.Float64()
	}
	for i := range n { // soft rows that sum to one
		sum := float32(0)
		for _, v := range src[i*k : (i+1)*k] {
			sum += v
		}
		for c := range k {
			src[i*k+c] /= sum
		}
	}
	loss := func(row []float32, i int) (l float64) {
		for c, v := range row {
			l -= float64(v) * logp[i*k+c]
		}
		return l
	}
	for _, m := range every {
		r.Reset(5, 0, 0, 0)
		var d Draw
		m.Sample(r, Shape{n, 1, 8, 8}, &d)
		dst := make([]float32, n*k)
		d.Targets(dst, src, k)
		for i := range n {
			row := dst[i*k : (i+1)*k]
			want, sum := 0.0, 0.0
			for _, p := range d.Parts(i) {
				want += p.Weight * loss(src[p.From*k:(p.From+1)*k], i)
			}
			for _, v := range row {
				sum += float64(v)
			}
			if got := loss(row, i); math.Abs(got-want) > 1e-5 || math.Abs(sum-1) > 1e-6 {
				t.Errorf("%s: image %d: loss %v, mixed losses %v; row sums to %v", name(m), i, got, want, sum)
			}
		}
	}
}

// The literal case of mixup: λ·a + (1−λ)·b.
func TestMixupLiteral(t *testing.T) {
	var d Draw
	d.reset(2, 2)
	copy(d.Parts(0), []Part{{From: 0, Weight: 0.25}, {From: 1, Weight: 0.75}})
	copy(d.Parts(1), []Part{{From: 1, Weight: 1}, {From: 0, Weight: 0}})
	s, src := Shape{2, 1, 1, 2}, []float32{0, 4, 8, -4}
	dst := make([]float32, 4)
	Mixup{}.Apply(dst[:2], src, s, &d, 0)
	Mixup{}.Apply(dst[2:], src, s, &d, 1)
	if want := []float32{6, -2, 8, -4}; !slices.Equal(dst, want) {
		t.Errorf("images %v, want %v", dst, want)
	}
	rows := make([]float32, 6)
	d.Targets(rows, []float32{1, 0, 0, 0, 0, 1}, 3)
	if want := []float32{0.25, 0, 0.75, 0, 0, 1}; !slices.Equal(rows, want) {
		t.Errorf("targets %v, want %v", rows, want)
	}
}

// Batches share one draw, pairs mirror each other, elements differ.
func TestModes(t *testing.T) {
	r := rng.NewStream()
	for _, n := range []int{2, 5, 8, 33} {
		s := Shape{n, 3, 16, 16}
		for trial := range 20 {
			var d Draw
			draw := func(m Mixer) {
				r.Reset(9, trial, n, 1)
				m.Sample(r, s, &d)
			}
			draw(Mixup{1, PerBatch})
			seen := make([]bool, n)
			lambda := math.NaN()
			for i := range n {
				p := d.Parts(i)
				seen[p[1].From] = true
				if p[0].From != i {
					t.Fatalf("image %d starts from %d", i, p[0].From)
				}
				if p[1].From == i {
					continue
				}
				if lambda == lambda && p[0].Weight != lambda {
					t.Fatalf("weights %v and %v in one batch", lambda, p[0].Weight)
				}
				lambda = p[0].Weight
			}
			if slices.Contains(seen, false) {
				t.Fatalf("n %d: partners are no permutation", n)
			}
			for _, m := range []Mixer{Mixup{1, PerPair}, CutMix{1, PerPair}} {
				draw(m)
				alone := 0
				for i := range n {
					j := d.Parts(i)[1].From
					back := d.Parts(j)[1]
					if i == j {
						alone++
						if d.Parts(i)[0].Weight != 1 {
							t.Fatalf("%s: the odd image is mixed", name(m))
						}
						continue
					}
					if p := d.Parts(i)[1]; back.From != i || back.Weight != p.Weight || back.Box != p.Box {
						t.Fatalf("%s: image %d has partner %d, whose partner is %d", name(m), i, j, back.From)
					}
				}
				if alone != n%2 {
					t.Fatalf("%s: %d of %d images without a partner", name(m), alone, n)
				}
			}
			for _, m := range []Mixer{Mixup{1, PerElement}, CutMix{1, PerElement}, RICAP{1, PerElement}} {
				draw(m)
				if n < 5 {
					continue
				}
				weights := map[float64]bool{}
				for i := range n {
					weights[d.Parts(i)[0].Weight] = true
				}
				if len(weights) < 3 {
					t.Fatalf("%s: %d different weights for %d images", name(m), len(weights), n)
				}
			}
		}
	}
}

// Corners at the border are legal: then two images, or one, fill everything.
func TestRICAPExtremes(t *testing.T) {
	s := Shape{4, 1, 6, 6}
	r := rng.NewStream()
	count := map[int]int{} // by the number of parts with weight
	for trial := range 400 {
		r.Reset(3, 0, trial, 1)
		var d Draw
		RICAP{0.05, PerBatch}.Sample(r, s, &d)
		visible, area, whole := 0, 0, false
		for _, p := range d.Parts(0) {
			area += p.Box.Area()
			if p.Weight > 0 {
				visible++
			}
			if p.Weight == 1 {
				whole = true
				if p.X != 0 || p.Y != 0 || (p.Box != Box{0, 0, 6, 6}) {
					t.Fatalf("a whole image cropped at (%d, %d) to %+v", p.X, p.Y, p.Box)
				}
			}
		}
		if area != 36 {
			t.Fatalf("boxes cover %d of 36 pixels", area)
		}
		if whole != (visible == 1) {
			t.Fatalf("%d visible parts, one whole: %v", visible, whole)
		}
		count[visible]++
	}
	if count[1] == 0 || count[2] == 0 || count[4] == 0 || count[3] != 0 {
		t.Errorf("visible parts: %v", count)
	}
}

// The λ of mixup, and the corner of RICAP, follow Beta distributions: the
// Kolmogorov–Smirnov statistic over n draws stays below the bound that a true
// sample exceeds with probability 1e-6.
func TestBetaKolmogorovSmirnov(t *testing.T) {
	const n = 4000
	bound := math.Sqrt(-math.Log(1e-6/2) / 2 / n)
	r := rng.NewStream()
	for _, a := range []float64{0.1, 0.2, 0.3, 0.5, 1, 2, 8} {
		x := make([]float64, n)
		for i := range x {
			// One draw a batch, as in training: the streams must be
			// independent as well.
			r.Reset(7, i/100, i%100, rng.NewKey("mixup"))
			var d Draw
			Mixup{a, PerPair}.Sample(r, Shape{2, 1, 1, 1}, &d)
			x[i] = d.Parts(0)[0].Weight
		}
		slices.Sort(x)
		b, worst := distuv.Beta{Alpha: a, Beta: a}, 0.0
		for i, v := range x {
			f := b.CDF(v)
			worst = max(worst, f-float64(i)/n, float64(i+1)/n-f)
		}
		if worst > bound {
			t.Errorf("Beta(%v, %v): statistic %.4f above %.4f", a, a, worst, bound)
		}
	}
	for range 2000 { // so small that gonum's ratio is 0/0 now and then
		if v := beta(r, 1e-4); !(v >= 0 && v <= 1) {
			t.Fatalf("Beta(1e-4, 1e-4) drew %v", v)
		}
	}
}

// A draw is a function of its position only, and Apply of the draw only.
func TestSampleIsAFunctionOfItsPosition(t *testing.T) {
	s := Shape{9, 3, 8, 8}
	for _, m := range every {
		sw, err := NewSwitch(1, Choice{Name: "x", P: 1, Mixer: m})
		if err != nil {
			t.Fatal(err)
		}
		a, b := rng.NewStream(), rng.NewStream()
		var d, e Draw
		sw.Sample(b, 4, 0, 1, s, &e) // an earlier draw leaves nothing behind
		sw.Sample(a, 4, 0, 2, s, &d)
		sw.Sample(b, 4, 0, 2, s, &e)
		if !slices.Equal(d.parts, e.parts) {
			t.Errorf("%s: same position, other draw", name(m))
		}
		sw.Sample(b, 4, 0, 3, s, &e)
		if slices.Equal(d.parts, e.parts) {
			t.Errorf("%s: next batch, same draw", name(m))
		}
	}
}

func TestNoAllocation(t *testing.T) {
	s := Shape{32, 3, 8, 8}
	src, dst := numbered(s), make([]float32, s.Image())
	rows, out := oneHot(32, 10), make([]float32, 320)
	for _, m := range every {
		sw, err := NewSwitch(1, Choice{Name: "x", P: 1, Mixer: m})
		if err != nil {
			t.Fatal(err)
		}
		r := rng.NewStream()
		var d Draw
		i := 0
		if n := testing.AllocsPerRun(50, func() {
			mixer, _ := sw.Sample(r, 1, 0, i, s, &d)
			mixer.Apply(dst, src, s, &d, i%32)
			d.Targets(out, rows, 10)
			i++
		}); n != 0 {
			t.Errorf("%s: %v allocations a batch", name(m), n)
		}
	}
}

func BenchmarkMix(b *testing.B) {
	for _, side := range []int{32, 224} {
		s := Shape{16, 3, side, side}
		src, dst := numbered(s), make([]float32, s.Image())
		for _, m := range every {
			b.Run(fmt.Sprintf("%s/%d", name(m), side), func(b *testing.B) {
				r := rng.NewStream()
				var d Draw
				n := 0
				for b.Loop() {
					if n%s.N == 0 {
						r.Reset(1, 0, n, 1)
						m.Sample(r, s, &d)
					}
					m.Apply(dst, src, s, &d, n%s.N)
					n++
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "images/s")
			})
		}
	}
}

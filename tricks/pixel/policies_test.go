package pixel

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/pixel/policy"
	"github.com/ortrain/ortrain/tricks/rng"
)

func transform(t *testing.T, name string, o Options, size Size) Pixels {
	t.Helper()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	tr, err := o.Build(info(size))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return tr.(Pixels)
}

// A list of steps is what its operations do one after the other, for any
// number of them.
func TestStepsRunInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	src := noise(r, Size{9, 7, 3})
	space, painter := policy.Torchvision(9, 7, 10), policy.Painter{Outside: pil.Colour{1, 2, 3}}
	other := noise(r, src.Size)
	painter.Partner = other.view()
	stream := rng.NewStream()
	for trial := range 200 {
		var p Params
		stream.Reset(2, 0, trial, 1)
		for range trial % (maxSteps + 1) {
			ops := policy.Ops()
			p.addStep(stream, space, ops[stream.IntN(len(ops))], stream.Float64()*9, src.Size)
		}
		want := slices.Clone(src.Pix)
		for i := range p.Int[0] {
			next := make([]uint8, len(want))
			at := p.Int[1+maxSteps+i]
			painter.Apply(pil.Image{W: 9, H: 7, C: 3, Pix: next}, pil.Image{W: 9, H: 7, C: 3, Pix: want},
				policy.Op(p.Int[1+i]), p.Float[i], at%9, at/9)
			want = next
		}
		dst := &Image{}
		dst.Reset(src.Size)
		p.scratch = &scratch{partners: images{other}}
		runSteps(policy.Painter{Outside: painter.Outside}, dst, src, &p)
		if !slices.Equal(dst.Pix, want) {
			t.Fatalf("%d steps %+v differ", p.Int[0], p)
		}
	}
}

func TestAutoAugmentPolicyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	text := "- - {op: Invert, p: 0.25}\n  - {op: TranslateX, p: 1, magnitude: 9}\n- - {op: Posterize, p: 0.5, magnitude: 0}\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	o := &AutoAugmentOptions{Policy: path, Ranges: "torchvision", Fill: "mean", Interpolation: "nearest"}
	size := Size{32, 32, 3}
	a := transform(t, "autoaugment", o, size)
	if a.(AutoAugment).Painter.Outside != (pil.Colour{125, 123, 114}) {
		t.Errorf("mean colour %v", a.(AutoAugment).Painter.Outside)
	}
	s, key := rng.NewStream(), rng.NewKey("autoaugment")
	var skipped, inverted, left, right float64
	const n = 20000
	for i := range n {
		s.Reset(1, 0, i, key)
		p := a.Sample(s, size)
		for j := range p.Int[0] {
			switch policy.Op(p.Int[1+j]) {
			case policy.Invert:
				inverted++
			case policy.TranslateX:
				if p.Float[j] == 14 { // 150/331·32 cut off
					right++
				} else if p.Float[j] == -14 {
					left++
				} else {
					t.Fatalf("shift %v", p.Float[j])
				}
			}
		}
		if p.Skip {
			skipped++
		}
	}
	for what, v := range map[string][2]float64{
		"skipped": {skipped, 0.25}, "inverted": {inverted, 0.125}, "left": {left, 0.25}, "right": {right, 0.25},
	} {
		if want := v[1] * n; math.Abs(v[0]-want) > 5*math.Sqrt(want) {
			t.Errorf("%s %v times of %d, want about %v", what, v[0], n, want)
		}
	}
	if err := os.WriteFile(path, []byte("- [{op: Invrt}]"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := NewChain(info(size), Named{"mirror", &MirrorOptions{}}, Named{"autoaugment", o})
	if want := path + `:1: 1.policy.0.0.op: unknown operation "Invrt"; did you mean "Invert"?`; err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// Each draw is uniform over operations and levels.
func TestRandomOperationsAreUniform(t *testing.T) {
	size := Size{32, 32, 3}
	s := rng.NewStream()
	wide := transform(t, "trivialaugment_wide", named(t, "trivialaugment_wide", nil).Options, size)
	randomly := transform(t, "randaugment", named(t, "randaugment", nil).Options, size)
	const n = 14000
	ops, angles := map[int]int{}, map[float64]int{}
	skipped, two := 0, 0
	for i := range n {
		s.Reset(1, 0, i, 7)
		p := wide.Sample(s, size)
		if p.Skip {
			ops[int(policy.Identity)]++
		} else {
			ops[p.Int[1]]++
		}
		if policy.Op(p.Int[1]) == policy.Rotate {
			angles[p.Float[0]]++
		}
		s.Reset(1, 0, i, 8)
		switch p = randomly.Sample(s, size); p.Int[0] {
		case 0:
			skipped++
		case 2:
			two++
		}
	}
	if len(ops) != 14 || len(angles) != 61 {
		t.Errorf("%d operations, %d angles", len(ops), len(angles))
	}
	for op, k := range ops {
		if math.Abs(float64(k)-1000) > 5*math.Sqrt(1000) {
			t.Errorf("%v drawn %d times of %d", policy.Op(op), k, n)
		}
	}
	if want := n / 14.0 / 14; math.Abs(float64(skipped)-want) > 5*math.Sqrt(want) {
		t.Errorf("both operations Identity %d times, want about %.0f", skipped, want)
	}
	if want := n * 13 / 14.0 * 13 / 14; math.Abs(float64(two)-want) > 5*math.Sqrt(want) {
		t.Errorf("two operations %d times, want about %.0f", two, want)
	}
}

// AugMix is the weighted sum of the image and its chains.
func TestAugMix(t *testing.T) {
	size := Size{11, 6, 3}
	src := noise(rand.New(rand.NewPCG(1, 4)), size)
	for _, o := range []*AugMixOptions{
		{Severity: 3, Width: 3, Depth: 0, Alpha: 1, AllOps: true, Fill: "black", Interpolation: "bilinear"},
		{Severity: 10, Width: 5, Depth: 3, Alpha: 0.2, Fill: "grey", Interpolation: "nearest"},
		{Severity: 1, Width: 1, Depth: 16, Alpha: 5, AllOps: true, Fill: "mean", Interpolation: "bilinear"},
	} {
		a := transform(t, "augmix", o, size).(AugMix)
		s, depths := rng.NewStream(), map[int]int{}
		for i := range 200 {
			s.Reset(1, 0, i, 3)
			p := a.Sample(s, size)
			sum := 0.0
			for _, w := range p.Float {
				sum += w
			}
			if math.Abs(sum-1) > 1e-12 || p.Skip {
				t.Fatalf("weights %v", p.Float)
			}
			want := make([]float64, len(src.Pix))
			for j, v := range src.Pix {
				want[j] = p.Float[0] * float64(v)
			}
			for chain := range a.Width {
				from, depth := slices.Clone(src.Pix), 0
				for _, packed := range p.Int[chain*a.slots() : (chain+1)*a.slots()] {
					op, level, negative := policy.Op(packed&0xFF), packed>>8&0xFF, packed>>16 == 1
					if op == policy.Identity {
						continue
					}
					if level >= o.Severity {
						t.Fatalf("level %d", level)
					}
					depth++
					next := make([]uint8, len(from))
					a.Painter.Apply(pil.Image{W: 11, H: 6, C: 3, Pix: next}, pil.Image{W: 11, H: 6, C: 3, Pix: from},
						op, a.Space.Value(op, float64(level), negative), 0, 0)
					from = next
				}
				depths[depth]++
				for j, v := range from {
					want[j] += p.Float[1+chain] * float64(v)
				}
			}
			got := apply(a, src, p)
			for j, v := range want {
				if math.Abs(float64(got.Pix[j])-v) > 0.5001 {
					t.Fatalf("pixel %d is %d, want %v", j, got.Pix[j], v)
				}
			}
		}
		if o.Depth == 0 && len(depths) != 3 || o.Depth > 0 && (len(depths) != 1 || depths[o.Depth] == 0) {
			t.Errorf("depths %v of %d", depths, o.Depth)
		}
	}
}

// Mean and variance of a gamma variable are its shape.
func TestGamma(t *testing.T) {
	s := rng.NewStream()
	for _, shape := range []float64{0.01, 0.2, 0.9, 1, 1.5, 8} {
		const n = 40000
		sum, squares := 0.0, 0.0
		for range n {
			v := gamma(s, shape)
			if !(v > 0) {
				t.Fatalf("gamma(%v) = %v", shape, v)
			}
			sum += v
			squares += v * v
		}
		mean := sum / n
		variance := squares/n - mean*mean
		// The fourth central moment is 3·shape² + 6·shape.
		if math.Abs(mean-shape) > 5*math.Sqrt(shape/n) || math.Abs(variance-shape) > 5*math.Sqrt((2*shape*shape+6*shape)/n) {
			t.Errorf("gamma(%v): mean %v, variance %v", shape, mean, variance)
		}
	}
}

// 3-Augment is one of its three, then the jitter.
func TestThreeAugment(t *testing.T) {
	size := Size{9, 8, 3}
	src := noise(rand.New(rand.NewPCG(1, 4)), size)
	o := named(t, "three_augment", nil).Options.(*ThreeAugmentOptions)
	a := transform(t, "three_augment", o, size).(ThreeAugment)
	s := rng.NewStream()
	var counts [3]int
	for i := range 600 {
		s.Reset(1, 0, i, 3)
		p := a.Sample(s, size)
		counts[p.Int[4]]++
		if p.Float[4] < 0.1 || p.Float[4] >= 2 {
			t.Fatalf("blur %v", p.Float[4])
		}
		one := &Image{}
		one.Reset(size)
		switch p.Int[4] {
		case 0:
			pil.Grayscale(one.view(), src.view())
		case 1:
			pil.Solarize(one.view(), src.view(), 128)
		case 2:
			new(pil.Blur).Gaussian(one.view(), src.view(), p.Float[4])
		}
		want := apply(ColourJitter{1, 0.3, 0.3, 0.3, 0}, one, p)
		if got := apply(a, src, p); !slices.Equal(got.Pix, want.Pix) {
			t.Fatalf("draw %d %+v differs", i, p)
		}
	}
	for i, k := range counts {
		if math.Abs(float64(k)-200) > 5*math.Sqrt(200) {
			t.Errorf("choice %d drawn %d times of 600", i, k)
		}
	}
}

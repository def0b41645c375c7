package pixel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Every registered trick at its defaults, over sizes and channels: it builds
// or says why not, gives the same bytes for the same (seed, epoch, index)
// whatever ran before, writes all of its output and leaves its source alone.
func TestEveryTrick(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, name := range Transforms.Names() {
		for _, size := range []Size{{32, 32, 3}, {32, 32, 1}, {33, 17, 3}, {17, 33, 1}, {1, 1, 3}, {1, 1, 1}, {5, 2, 3}, {96, 64, 3}} {
			chain, err := NewChain(info(size), named(t, name, nil))
			if err != nil {
				if name != "pca_colour" || size.C == 3 || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "3 channels") {
					t.Errorf("%s of %v: %v", name, size, err)
				}
				continue
			}
			src := noise(r, size)
			keep := slices.Clone(src.Pix)
			a, b := chain.NewWorker(), chain.NewWorker()
			x, y := make([]float32, chain.Out().Elements()), make([]float32, chain.Out().Elements())
			changed, distinct := false, map[string]bool{}
			plain, _ := NewNormaliser(info(size).Mean, info(size).Std)
			still := make([]float32, size.Elements())
			plain.Apply(still, src)
			for i := range 40 {
				a.Apply(x, src, 5, 1, i)
				for j := range b.buffer {
					for k := range b.buffer[j].Pix {
						b.buffer[j].Pix[k] = 0xAA
					}
				}
				b.Apply(y, src, 5, 1, 39-i)
				b.Apply(y, src, 5, 1, i)
				if !slices.Equal(x, y) {
					t.Fatalf("%s of %v: image %d depends on what ran before", name, size, i)
				}
				changed = changed || !slices.Equal(x, still)
				distinct[fmt.Sprint(x)] = true
			}
			if name != "resize" && size.W >= 32 && size.C == 3 && (!changed || len(distinct) < 2) {
				t.Errorf("%s of %v: changed %v, %d different results of 40", name, size, changed, len(distinct))
			}
			if !slices.Equal(src.Pix, keep) {
				t.Errorf("%s of %v changed its source", name, size)
			}
		}
	}
}

// Chains of three random tricks run on any size.
func TestTricksCombine(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 7))
	names := Transforms.Names()
	built := 0
	for range 300 {
		size := Size{8 + r.IntN(40), 8 + r.IntN(40), 1 + 2*r.IntN(2)}
		var steps []Named
		for range 3 {
			steps = append(steps, named(t, names[r.IntN(len(names))], nil))
		}
		chain, err := NewChain(info(size), steps...)
		if err != nil {
			continue // planes before pixels, or colours of grey images
		}
		built++
		w := chain.NewWorker()
		dst := make([]float32, chain.Out().Elements())
		for i := range 5 {
			w.Apply(dst, noise(r, size), 1, 0, i)
		}
	}
	if built < 100 {
		t.Errorf("only %d of 300 chains were built", built)
	}
}

func TestTricksDoNotAllocate(t *testing.T) {
	src := noise(rand.New(rand.NewPCG(1, 1)), Size{32, 32, 3})
	dst := make([]float32, 3072)
	for _, name := range Transforms.Names() {
		chain, err := NewChain(info(src.Size), named(t, name, nil))
		if err != nil {
			t.Fatal(err)
		}
		w, i := chain.NewWorker(), 0
		for ; i < 300; i++ { // memory grows to the largest image met
			w.Apply(dst, src, 1, 0, i)
		}
		if n := testing.AllocsPerRun(200, func() { w.Apply(dst, src, 1, 0, i); i++ }); n != 0 {
			t.Errorf("%s: %v allocations an image", name, n)
		}
	}
}

// A probability of 0 never changes an image, and neither do ranges of
// nothing.
func TestProbabilityZeroIsIdentity(t *testing.T) {
	size := Size{20, 14, 3}
	src := noise(rand.New(rand.NewPCG(8, 1)), size)
	plain, _ := NewNormaliser(info(size).Mean, info(size).Std)
	want := make([]float32, size.Elements())
	plain.Apply(want, src)
	for _, step := range []Named{
		{"mirror", &MirrorOptions{}},
		{"grayscale", &GrayscaleOptions{}},
		{"colour_jitter", &ColourJitterOptions{Brightness: 1, Hue: 0.5}},
		{"random_erasing", &RandomErasingOptions{AreaMin: 0.02, AreaMax: 0.4, Aspect: 0.3, Tries: 100, Fill: "noise"}},
		{"gridmask", &GridMaskOptions{UnitMin: 0.5, UnitMax: 1, Ratio: 0.6, Rotate: 360}},
		{"gridmask", &GridMaskOptions{P: 1, UnitMin: 0.5, UnitMax: 1, Ratio: 1, Rotate: 360}},
		{"hide_and_seek", &HideAndSeekOptions{Sizes: []int{0, 2, 5}}},
		{"rotation", &RotationOptions{Fill: "black", Interpolation: "bilinear"}},
		{"pca_colour", &PCAColourOptions{From: "given", Values: []float64{1, 1, 1}, Vectors: []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}},
		{"randaugment", &RandAugmentOptions{N: 1, Bins: 31, Fill: "black", Interpolation: "nearest"}},
		{"random_resized_crop", &RandomResizedCropOptions{AreaMin: 1, AreaMax: 1, AspectMin: 20.0 / 14, AspectMax: 20.0 / 14, Interpolation: "bicubic"}},
	} {
		chain, err := NewChain(info(size), step)
		if err != nil {
			t.Fatal(err)
		}
		w, got := chain.NewWorker(), make([]float32, size.Elements())
		for i := range 60 {
			w.Apply(got, src, 3, 0, i)
			if step.Name == "randaugment" && w.params[0].Int[0] > 0 && slices.Contains([]int{6, 8, 9}, w.params[0].Int[1]) {
				continue // AutoContrast, Equalize have no magnitude; Solarize inverts 255
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s %+v changes image %d", step.Name, step.Options, i)
				break
			}
		}
	}
}

func TestOptionErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(o Options)
		want   string
	}{
		{"autoaugment", func(o Options) { o.(*AutoAugmentOptions).Policy = "cifar" },
			`0.policy: unknown policy "cifar"; did you mean "cifar10"?; a policy file's name ends in .yaml`},
		{"autoaugment", func(o Options) { o.(*AutoAugmentOptions).Policy = "no/such.yaml" },
			"0.policy: policy file: open no/such.yaml: no such file or directory"},
		{"autoaugment", func(o Options) { o.(*AutoAugmentOptions).Ranges = "torchvison" }, `0.ranges: unknown ranges "torchvison"; did you mean "torchvision"?`},
		{"autoaugment", func(o Options) { o.(*AutoAugmentOptions).Fill = "gray" }, `0.fill: unknown colour "gray"; did you mean "grey"?`},
		{"autoaugment", func(o Options) { o.(*AutoAugmentOptions).Fill = "#12345" }, `0.fill: "#12345" is not a colour such as #7c7468`},
		{"autoaugment", func(o Options) { o.(*AutoAugmentOptions).Interpolation = "bicubic" },
			`0.interpolation: unknown interpolation "bicubic"; valid: nearest, bilinear`},
		{"randaugment", func(o Options) { o.(*RandAugmentOptions).N = 8 }, "0.n: must be 1 to 7, got 8"},
		{"randaugment", func(o Options) { o.(*RandAugmentOptions).Magnitude = 31 }, "0.magnitude: must be 0 to 30, got 31"},
		{"trivialaugment_wide", func(o Options) { o.(*TrivialAugmentWideOptions).Bins = 1 }, "0.bins: must be 2 to 1000, got 1"},
		{"augmix", func(o Options) { o.(*AugMixOptions).Severity = 11 }, "0.severity: must be 1 to 10, got 11"},
		{"augmix", func(o Options) { o.(*AugMixOptions).Width = 6 }, "0.width: must be 1 to 5, got 6"},
		{"augmix", func(o Options) { o.(*AugMixOptions).Alpha = 0 }, "0.alpha: must be 0.01 to 1000, got 0"},
		{"three_augment", func(o Options) { o.(*ThreeAugmentOptions).BlurMin = 3 }, "0.blur_min: 3 is above blur_max, 2"},
		{"random_resized_crop", func(o Options) { o.(*RandomResizedCropOptions).AreaMax = 1.5 }, "0.area_max: must be 1e-06 to 1, got 1.5"},
		{"random_resized_crop", func(o Options) { o.(*RandomResizedCropOptions).AreaMin = -1 }, "0.area_min: must be 0 to 1, got -1"},
		{"random_resized_crop", func(o Options) { o.(*RandomResizedCropOptions).AspectMin = 2 }, "0.aspect_min: 2 is above aspect_max, 1.3333333333333333"},
		{"random_resized_crop", func(o Options) { o.(*RandomResizedCropOptions).Interpolation = "bicubik" },
			`0.interpolation: unknown interpolation "bicubik"; did you mean "bicubic"?`},
		{"rotation", func(o Options) { o.(*RotationOptions).Degrees = 181 }, "0.degrees: must be 0 to 180, got 181"},
		{"colour_jitter", func(o Options) { o.(*ColourJitterOptions).Hue = 0.6 }, "0.hue: must be 0 to 0.5, got 0.6"},
		{"colour_jitter", func(o Options) { *o.(*ColourJitterOptions) = ColourJitterOptions{P: 1} },
			"0.brightness: all four jitters are 0; raise one or leave the trick out"},
		{"grayscale", func(o Options) { o.(*GrayscaleOptions).P = -0.1 }, "0.p: a probability, at least 0 and at most 1, got -0.1"},
		{"pca_colour", func(o Options) { o.(*PCAColourOptions).Values = []float64{1} }, "0.values: from: imagenet has constants of its own; say from: given"},
		{"pca_colour", func(o Options) { o.(*PCAColourOptions).From = "given" }, "0.values: needs 3 eigenvalues, got 0"},
		{"pca_colour", func(o Options) { o.(*PCAColourOptions).From = "date" }, `0.from: unknown source of components "date"; did you mean "data"?`},
		{"pca_colour", func(o Options) {
			*o.(*PCAColourOptions) = PCAColourOptions{From: "given", Values: []float64{1, 1, 1}, Vectors: []float64{3, 0, 0, 0, 1, 0, 0.8, 0, 1}}
		},
			"0.vectors: component 1 has length 3.1, not 1 (the columns are the components)"},
		{"random_erasing", func(o Options) { o.(*RandomErasingOptions).AreaMin = 0.5 }, "0.area_min: 0.5 is above area_max, 0.4"},
		{"random_erasing", func(o Options) { o.(*RandomErasingOptions).Aspect = 3 }, "0.aspect: must be 0.001 to 1, got 3"},
		{"random_erasing", func(o Options) { o.(*RandomErasingOptions).Fill = "means" }, `0.fill: unknown fill "means"; did you mean "mean"?`},
		{"gridmask", func(o Options) { o.(*GridMaskOptions).Ratio = 1.2 }, "0.ratio: must be 0 to 1, got 1.2"},
		{"hide_and_seek", func(o Options) { o.(*HideAndSeekOptions).Sizes = []int{4, -1} }, "0.sizes: must be 0 (nothing) to 16384 pixels, got -1"},
	} {
		step := named(t, tt.name, nil)
		tt.change(step.Options)
		if _, err := NewChain(info(Size{32, 32, 3}), step); err == nil || err.Error() != tt.want {
			t.Errorf("%s:\n got %v\nwant %s", tt.name, err, tt.want)
		}
	}
	// A default changed in place must not stay changed.
	o, _ := Transforms.Defaults("hide_and_seek")
	o.(*HideAndSeekOptions).P = 9
	if o, _ = Transforms.Defaults("hide_and_seek"); o.(*HideAndSeekOptions).P == 9 {
		t.Error("changing options changed the defaults")
	}
}

func benchmarkTricks(b *testing.B, side int, steps ...string) {
	var list []Named
	for _, n := range steps {
		list = append(list, named(b, n, nil))
	}
	size := Size{side, side, 3}
	chain, err := NewChain(info(size), list...)
	if err != nil {
		b.Fatal(err)
	}
	// A photograph's histogram matters to no trick's speed, but noise is no
	// worse than one.
	src := noise(rand.New(rand.NewPCG(1, 1)), size)
	dst := make([]float32, size.Elements())
	w, i := chain.NewWorker(), 0
	for b.Loop() {
		w.Apply(dst, src, 1, 0, i)
		i++
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "images/s")
}

// BenchmarkTricks measures each trick with normalisation, and the chain of
// the AutoAugment paper.
func BenchmarkTricks(b *testing.B) {
	for _, side := range []int{32, 224} {
		for _, name := range Transforms.Names() {
			b.Run(fmt.Sprintf("%s/%d", name, side), func(b *testing.B) { benchmarkTricks(b, side, name) })
		}
		b.Run(fmt.Sprintf("autoaugment_crop_mirror_cutout/%d", side), func(b *testing.B) {
			benchmarkTricks(b, side, "autoaugment", "crop", "mirror", "cutout")
		})
	}
}

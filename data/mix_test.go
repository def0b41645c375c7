package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/batch"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/target"
)

// mixing is a switch with everything in it, which leaves some batches alone.
func mixing(t testing.TB, epochs int) *batch.Switch {
	t.Helper()
	s, err := batch.NewSwitch(epochs,
		batch.Choice{Name: "mixup", P: 0.25, Mixer: batch.Mixup{Alpha: 1, Mode: batch.PerElement}},
		batch.Choice{Name: "cutmix", P: 0.25, Mixer: batch.CutMix{Alpha: 1, Mode: batch.PerPair}},
		batch.Choice{Name: "ricap", P: 0.25, OffEpochs: 1, Mixer: batch.RICAP{Beta: 0.3, Mode: batch.PerBatch}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mixedOptions(t testing.TB) LoaderOptions {
	opt := trainOptions(t)
	opt.Batch, opt.Repeats, opt.Mix = 6, 3, mixing(t, opt.Epochs)
	return opt
}

func TestMixedBytesDoNotDependOnTheWorkers(t *testing.T) {
	sameForAnyWorkers(t, mixedOptions, 3*16)
}

func TestMixedResume(t *testing.T) {
	set := Whole(images(t, rgb, 50))
	opt := mixedOptions(t)
	whole := drain(t, start(t, set, opt))
	for _, at := range []Position{{0, 1}, {0, 5}, {1, 0}, {1, 3}, {2, 7}} {
		opt.Start = at
		got := drain(t, start(t, set, opt))
		if want := whole[at.Epoch*8+at.Batch:]; !slices.Equal(got, want) {
			t.Errorf("from %+v: %d batches, want the last %d of the run", at, len(got), len(want))
		}
	}
}

// A mixed batch is the plain batch at the same place, mixed by its draw.
func TestMixedBatchIsThePlainOneMixed(t *testing.T) {
	set := Whole(images(t, rgb, 100))
	opt := mixedOptions(t)
	mixed := start(t, set, opt)
	opt.Mix = nil
	plain := start(t, set, opt)
	seen := map[string]int{}
	for range 48 {
		a, err := mixed.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		b, err := plain.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		seen[a.Mixed]++
		if a.Mixed == "ricap" && a.Epoch == 2 {
			t.Error("RICAP does not rest in the last epoch")
		}
		images, targets := b.Images, b.Targets
		if a.Mixed != "" {
			s := batch.Shape{N: 6, C: 3, H: rgb.H, W: rgb.W}
			images, targets = make([]float32, len(images)), make([]float32, len(targets))
			m := map[string]batch.Mixer{"mixup": batch.Mixup{}, "cutmix": batch.CutMix{}, "ricap": batch.RICAP{}}[a.Mixed]
			for i := range 6 {
				m.Apply(images[i*s.Image():(i+1)*s.Image()], b.Images, s, &a.Draw, i)
			}
			// Smoothing is linear, so it commutes with mixing.
			a.Draw.Targets(targets, b.Targets, 3)
		}
		if !slices.Equal(images, a.Images) {
			t.Fatalf("epoch %d, batch %d, %q: images differ", a.Epoch, a.Index, a.Mixed)
		}
		for i, v := range targets {
			if math.Abs(float64(v-a.Targets[i])) > 1e-6 {
				t.Fatalf("epoch %d, batch %d, %q: targets %v, want %v", a.Epoch, a.Index, a.Mixed, a.Targets, targets)
			}
		}
		a.Release()
		b.Release()
	}
	for _, name := range []string{"", "mixup", "cutmix", "ricap"} {
		if seen[name] < 3 {
			t.Errorf("mixed by %q: %d batches", name, seen[name])
		}
	}
}

// With m repetitions an epoch shows 1/m of the images, each m times in one
// batch, augmented differently every time but the first alike.
func TestRepeatedAugmentation(t *testing.T) {
	set := Whole(images(t, rgb, 60))
	opt := trainOptions(t)
	opt.Batch, opt.Repeats, opt.Epochs = 6, 3, 12
	l := start(t, set, opt)
	ever := map[int]bool{}
	opt.Repeats = 0
	once := map[string]bool{} // what is shown without repetitions
	for i, all := 0, start(t, set, opt); i < 120; i++ {
		b, err := all.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for j, image := range b.Indices {
			n := rgb.Elements()
			once[fmt.Sprint(b.Epoch, image, b.Images[j*n:(j+1)*n])] = true
		}
		b.Release()
	}
	for epoch := range 12 {
		count := map[int]int{}
		different := 0
		for range 10 {
			b, err := l.Next(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			n := rgb.Elements()
			for i, image := range b.Indices {
				count[image]++
				ever[image] = true
				if i%3 == 0 {
					if !once[fmt.Sprint(b.Epoch, image, b.Images[i*n:(i+1)*n])] {
						t.Fatalf("the first repetition of image %d is not what it is without repetitions", image)
					}
					continue
				}
				if image != b.Indices[i-1] {
					t.Fatalf("epoch %d: batch of images %v", epoch, b.Indices)
				}
				if !slices.Equal(b.Images[i*n:(i+1)*n], b.Images[(i-1)*n:i*n]) {
					different++
				}
			}
			b.Release()
		}
		if len(count) != 20 || different < 30 {
			t.Errorf("epoch %d shows %d images, want 20; %d of 40 repetitions differ from the one before", epoch, len(count), different)
		}
		for image, n := range count {
			if n != 3 {
				t.Errorf("epoch %d shows image %d %d times", epoch, image, n)
			}
		}
	}
	if len(ever) < 55 {
		t.Errorf("12 epochs of a third of 60 images showed only %d of them", len(ever))
	}
}

func TestMixingErrors(t *testing.T) {
	set := Whole(images(t, rgb, 10))
	for _, tt := range []struct {
		opt  LoaderOptions
		want string
	}{
		{LoaderOptions{Batch: 1, Train: true, Mix: mixing(t, 1)}, "loader: a batch of 1 has nothing to mix; raise the batch"},
		{LoaderOptions{Batch: 4, Train: true, Repeats: 3}, "loader: a batch of 4 cannot show every image 3 times; make it a multiple"},
	} {
		tt.opt.Chain = chain(t, rgb)
		if _, err := NewLoader(context.Background(), set, tt.opt); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

type wrongMixer struct{ batch.RICAP }

func (wrongMixer) Apply([]float32, []float32, batch.Shape, *batch.Draw, int) { panic("no such part") }

func TestPanicInMixing(t *testing.T) {
	s, err := batch.NewSwitch(1, batch.Choice{Name: "odd", P: 1, Mixer: wrongMixer{batch.RICAP{Beta: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, Whole(images(t, rgb, 10)), LoaderOptions{Batch: 5, Train: true, Chain: chain(t, rgb), Mix: s})
	if _, err := l.Next(context.Background()); err == nil || err.Error() != "batch 0, epoch 0: odd: panic: no such part" {
		t.Errorf("got %v", err)
	}
}

func TestCancellingMixingLeavesNothingBehind(t *testing.T) {
	set := Whole(images(t, rgb, 100))
	for _, batches := range []int{0, 1, 9} {
		noLeaks(t)
		ctx, cancel := context.WithCancel(context.Background())
		opt := mixedOptions(t)
		opt.Epochs, opt.Mix = 1000, mixing(t, 1000)
		l, err := NewLoader(ctx, set, opt)
		if err != nil {
			t.Fatal(err)
		}
		for range batches {
			b, err := l.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			b.Release()
		}
		cancel()
		for {
			b, err := l.Next(context.Background())
			if err != nil {
				break
			}
			b.Release()
		}
		l.Close()
	}
}

// Every pair of registered tricks, whatever their kinds, gives two batches of
// finite images and of targets that sum to one (or, with class weights, to
// something above zero), the same from one worker and from two.
func TestAllPairsOfTricks(t *testing.T) {
	size := pixel.Size{W: 32, H: 32, C: 3}
	source := images(t, size, 24)
	type part struct{ kind, name string }
	var parts []part
	for _, n := range pixel.Transforms.Names() {
		parts = append(parts, part{"pixel", n})
	}
	for _, n := range batch.Mixers.Names() {
		parts = append(parts, part{"batch", n})
	}
	for _, n := range target.Shapers.Names() {
		parts = append(parts, part{"target", n})
	}
	made := 0
	for i, a := range parts {
		for _, b := range parts[i:] {
			var first []string
			for _, workers := range []int{1, 2} {
				opt, ok := pairOptions(t, source, size, [2][2]string{{a.kind, a.name}, {b.kind, b.name}})
				if !ok {
					continue
				}
				opt.Workers = workers
				var got []string
				l, err := NewLoader(context.Background(), Whole(source), opt)
				if err != nil {
					t.Fatalf("%v with %v: %v", a, b, err)
				}
				for range 2 {
					batch, err := l.Next(context.Background())
					if err != nil {
						t.Fatalf("%v with %v: %v", a, b, err)
					}
					checkBatch(t, batch, a.name == "class_weights" || b.name == "class_weights")
					got = append(got, digest(batch))
					batch.Release()
				}
				if _, err := l.Next(context.Background()); !errors.Is(err, io.EOF) {
					t.Errorf("%v with %v: %v", a, b, err)
				}
				l.Close()
				if first == nil {
					first = got
				}
				if !slices.Equal(got, first) {
					t.Errorf("%v with %v: two workers give other bytes than one", a, b)
				}
				made++
			}
		}
	}
	t.Logf("%d tricks, %d runs", len(parts), made)
}

// pairOptions builds loader options of two tricks; ok is false if both are the
// same or their order is not allowed, in which case the other order is used.
func pairOptions(t *testing.T, source Source, size pixel.Size, pair [2][2]string) (LoaderOptions, bool) {
	t.Helper()
	opt := LoaderOptions{Batch: 12, Train: true, Seed: 3}
	var steps []pixel.Named
	var shapers target.Chain
	var choices []batch.Choice
	for i, p := range pair {
		if i == 1 && p == pair[0] {
			continue // alone
		}
		switch p[0] {
		case "pixel":
			o, err := pixel.Transforms.Defaults(p[1])
			if err != nil {
				t.Fatal(err)
			}
			steps = append(steps, pixel.Named{Name: p[1], Options: o})
		case "batch":
			o, err := batch.Mixers.Defaults(p[1])
			if err != nil {
				t.Fatal(err)
			}
			choices = append(choices, batch.Choice{Name: p[1], P: 0.5, Mixer: o.Build()})
		case "target":
			o, err := target.Shapers.Defaults(p[1])
			if err != nil {
				t.Fatal(err)
			}
			s, err := o.Build(target.Info{Classes: 3, Counts: Whole(source).Counts()})
			if err != nil {
				t.Fatal(err)
			}
			if o.Order() == target.Smoothing {
				shapers = append(target.Chain{s}, shapers...)
			} else {
				shapers = append(shapers, s)
			}
		}
	}
	if len(choices) == 1 {
		choices[0].P = 1
	}
	info := pixel.Info{In: size, Mean: []float64{0.49, 0.48, 0.45}, Std: []float64{0.25, 0.24, 0.26}}
	var err error
	if opt.Chain, err = pixel.NewChain(info, steps...); err != nil && len(steps) == 2 {
		slices.Reverse(steps)
		opt.Chain, err = pixel.NewChain(info, steps...)
	}
	if err != nil {
		if strings.Contains(err.Error(), "file") { // needs a file of its own
			return opt, false
		}
		t.Fatalf("%v: %v", pair, err)
	}
	if opt.Mix, err = batch.NewSwitch(1, choices...); err != nil {
		t.Fatal(err)
	}
	opt.Target = shapers
	return opt, true
}

func checkBatch(t *testing.T, b *Batch, weighted bool) {
	t.Helper()
	for i, v := range b.Images {
		if math.IsNaN(float64(v)) || math.Abs(float64(v)) > 10 {
			t.Fatalf("value %d of the images is %v", i, v)
		}
	}
	for i := range b.Count {
		sum := 0.0
		for _, v := range b.Targets[3*i : 3*i+3] {
			if v < 0 {
				t.Fatalf("targets %v", b.Targets[3*i:3*i+3])
			}
			sum += float64(v)
		}
		if !weighted && math.Abs(sum-1) > 1e-5 || !(sum > 0) {
			t.Fatalf("targets %v sum to %v", b.Targets[3*i:3*i+3], sum)
		}
	}
}

// Mixing allocates nothing per batch either.
func TestMixingDoesNotAllocate(t *testing.T) {
	opt := mixedOptions(t)
	opt.Batch, opt.Epochs, opt.Workers, opt.Mix = 48, 1<<20, 1, mixing(t, 1<<20)
	l := start(t, Whole(images(t, rgb, 100)), opt)
	next := func() {
		b, err := l.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		b.Release()
	}
	for range 40 {
		next()
	}
	if n := testing.AllocsPerRun(50, next); n > 5 {
		t.Errorf("%v allocations for a batch of 48", n)
	}
}

// BenchmarkLoaderMixing measures what mixing costs the loader.
func BenchmarkLoaderMixing(b *testing.B) {
	size := pixel.Size{W: 32, H: 32, C: 3}
	set := Whole(images(b, size, 10000))
	for _, name := range append([]string{"none"}, batch.Mixers.Names()...) {
		b.Run(name, func(b *testing.B) {
			opt := LoaderOptions{Batch: 128, Train: true, Epochs: 1 << 30, Seed: 1, Chain: chain(b, size, "crop", "mirror")}
			if name != "none" {
				o, err := batch.Mixers.Defaults(name)
				if err != nil {
					b.Fatal(err)
				}
				if opt.Mix, err = batch.NewSwitch(1<<30, batch.Choice{Name: name, P: 1, Mixer: o.Build()}); err != nil {
					b.Fatal(err)
				}
			}
			l := start(b, set, opt)
			made := 0
			for b.Loop() {
				batch, err := l.Next(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				made += batch.Count
				batch.Release()
			}
			b.ReportMetric(float64(made)/b.Elapsed().Seconds(), "images/s")
		})
	}
}

func TestRepetitionSeeds(t *testing.T) {
	if repetitionSeed(5, 0) != 5 {
		t.Error("repetition 0 has another seed")
	}
	if s := rng.Mix(5, 1, uint64(repetitionKey)); repetitionSeed(5, 1) != s || repetitionSeed(5, 2) == s {
		t.Error("repetitions share a seed")
	}
}

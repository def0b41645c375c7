package data

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/target"
)

var rgb = pixel.Size{W: 8, H: 6, C: 3}

// images returns n random images of three classes.
func images(t testing.TB, size pixel.Size, n int) *Memory {
	t.Helper()
	s := rng.NewStream()
	pix, labels := make([]uint8, n*size.Elements()), make([]int, n)
	for i := range pix {
		pix[i] = uint8(s.UintN(256))
	}
	for i := range labels {
		labels[i] = s.IntN(3)
	}
	m, err := NewMemory(size, []string{"a", "b", "c"}, pix, labels)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func chain(t testing.TB, size pixel.Size, names ...string) *pixel.Chain {
	t.Helper()
	info := pixel.Info{In: size, Mean: []float64{0.4914, 0.4822, 0.4465}[:size.C], Std: []float64{0.247, 0.2435, 0.2616}[:size.C]}
	var steps []pixel.Named
	for _, n := range names {
		o, err := pixel.Transforms.Defaults(n)
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := o.(*pixel.CutoutOptions); ok && size == rgb {
			c.Size = 3 // the usual hole would leave nothing to see
		}
		steps = append(steps, pixel.Named{Name: n, Options: o})
	}
	c, err := pixel.NewChain(info, steps...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func start(t testing.TB, set *Subset, opt LoaderOptions) *Loader {
	t.Helper()
	l, err := NewLoader(context.Background(), set, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// digest is everything a batch says, as a string.
func digest(b *Batch) string {
	return fmt.Sprintf("%d.%d step %d last %v %s", b.Epoch, b.Index, b.Step, b.Last, contents(b))
}

// contents is what a batch holds, wherever in a run it stands.
func contents(b *Batch) string {
	h := fnv.New64a()
	for _, v := range b.Images {
		u := math.Float32bits(v)
		h.Write([]byte{byte(u), byte(u >> 8), byte(u >> 16), byte(u >> 24)})
	}
	h.Write(b.Bytes)
	return fmt.Sprintf("count %d %s %v %v %v %x", b.Count, b.Mixed, b.Labels, b.Indices, b.Targets, h.Sum64())
}

func drain(t testing.TB, l *Loader) []string {
	t.Helper()
	var all []string
	for {
		b, err := l.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, digest(b))
		b.Release()
	}
}

func trainOptions(t testing.TB) LoaderOptions {
	return LoaderOptions{
		Batch: 7, Train: true, Epochs: 3, Seed: 11, Chain: chain(t, rgb, "crop", "mirror", "cutout"),
		Target: target.LabelSmoothing{Epsilon: 0.1, Form: target.PyTorch},
	}
}

func TestBytesDoNotDependOnTheWorkers(t *testing.T) {
	sameForAnyWorkers(t, trainOptions, 3*14)
}

// sameForAnyWorkers checks that a loader makes the same batches, and as many as
// are wanted, with any number of workers and slots.
func sameForAnyWorkers(t *testing.T, options func(testing.TB) LoaderOptions, batches int) {
	t.Helper()
	set := Whole(images(t, rgb, 100))
	var want []string
	for _, workers := range []int{1, 2, 7} {
		for _, slots := range []int{2, 5} {
			opt := options(t)
			opt.Workers, opt.Slots = workers, slots
			got := drain(t, start(t, set, opt))
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d workers, %d slots: batches differ from those of 1 worker", workers, slots)
			}
		}
	}
	if len(want) != batches {
		t.Errorf("%d batches, want %d", len(want), batches)
	}
}

func TestResumeEqualsAnUninterruptedRun(t *testing.T) {
	set := Whole(images(t, rgb, 50))
	opt := trainOptions(t)
	whole := drain(t, start(t, set, opt))
	steps := 7
	for _, at := range []Position{{0, 0}, {0, 1}, {0, 6}, {0, 7}, {1, 0}, {1, 3}, {2, 6}, {2, 7}, {3, 0}} {
		opt.Start = at
		got := drain(t, start(t, set, opt))
		if want := whole[at.Epoch*steps+at.Batch:]; !slices.Equal(got, want) {
			t.Errorf("from %+v: %d batches, want the last %d of the run", at, len(got), len(want))
		}
	}
}

func TestTrainingEpochs(t *testing.T) {
	set := Whole(images(t, rgb, 50))
	l := start(t, set, trainOptions(t))
	if l.StepsPerEpoch() != 7 || l.Slots() != 4 {
		t.Errorf("%d steps, %d slots", l.StepsPerEpoch(), l.Slots())
	}
	var epochs [3][]int
	addresses := map[int]*float32{}
	for step := range 21 {
		b, err := l.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if b.Step != step || b.Epoch != step/7 || b.Index != step%7 || b.Last != (step%7 == 6) || b.Count != 7 {
			t.Errorf("step %d: %+v", step, b)
		}
		epochs[b.Epoch] = append(epochs[b.Epoch], b.Indices...)
		if old := addresses[b.Slot]; old != nil && old != &b.Images[0] {
			t.Errorf("slot %d moved", b.Slot)
		}
		addresses[b.Slot] = &b.Images[0]
		for i, index := range b.Indices {
			if b.Labels[i] != set.Source.Label(index) {
				t.Errorf("label of image %d is %d", index, b.Labels[i])
			}
			var sum float32
			for k, v := range b.Targets[3*i : 3*i+3] {
				sum += v
				if (v > 0.5) != (k == b.Labels[i]) {
					t.Errorf("targets %v for label %d", b.Targets[3*i:3*i+3], b.Labels[i])
				}
			}
			if math.Abs(float64(sum)-1) > 1e-6 {
				t.Errorf("targets sum to %v", sum)
			}
		}
		b.Release()
		b.Release() // twice is harmless
	}
	if _, err := l.Next(context.Background()); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	for e, seen := range epochs {
		unique := slices.Compact(slices.Sorted(slices.Values(seen)))
		if len(seen) != 49 || len(unique) != 49 {
			t.Errorf("epoch %d shows %d images, %d different", e, len(seen), len(unique))
		}
		if e > 0 && slices.Equal(seen, epochs[0]) {
			t.Errorf("epoch %d has the order of epoch 0", e)
		}
	}
}

// Evaluation goes once through all images in order, plainly normalised.
func TestEvaluation(t *testing.T) {
	set := Whole(images(t, rgb, 50))
	c := chain(t, rgb)
	for _, batch := range []int{7, 50, 64} {
		l := start(t, set, LoaderOptions{Batch: batch, Chain: c, Workers: 3})
		n := 0
		plain := c.NewWorker()
		for {
			b, err := l.Next(context.Background())
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(b.Images) != b.Count*rgb.Elements() || len(b.Targets) != b.Count*3 || len(b.Labels) != b.Count {
				t.Errorf("batch of %d: %d values, %d targets, %d labels", b.Count, len(b.Images), len(b.Targets), len(b.Labels))
			}
			for i, index := range b.Indices {
				if index != n {
					t.Fatalf("image %d at place %d", index, n)
				}
				var src pixel.Image
				set.Source.Read(index, &src)
				want := make([]float32, rgb.Elements())
				plain.Apply(want, &src, 0, 0, 0)
				if !slices.Equal(want, b.Images[i*len(want):(i+1)*len(want)]) {
					t.Fatalf("image %d is not just normalised", index)
				}
				n++
			}
			b.Release()
		}
		if n != 50 {
			t.Errorf("batch %d: %d images", batch, n)
		}
	}
}

// An image is augmented alike whatever subset it is in.
func TestAugmentationBelongsToTheImage(t *testing.T) {
	source := images(t, rgb, 20)
	seen := map[int]uint64{}
	for _, set := range []*Subset{Whole(source), Some(source, []uint32{19, 3, 7, 5})} {
		opt := trainOptions(t)
		opt.Batch, opt.Epochs = 1, 1
		l := start(t, set, opt)
		for range set.Len() {
			b, err := l.Next(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			h := fnv.New64a()
			fmt.Fprint(h, b.Images)
			if old, ok := seen[b.Indices[0]]; ok && old != h.Sum64() {
				t.Errorf("image %d differs between subsets", b.Indices[0])
			}
			seen[b.Indices[0]] = h.Sum64()
			b.Release()
		}
	}
}

// Once warm, a batch costs no allocation per image.
func TestLoaderDoesNotAllocatePerImage(t *testing.T) {
	opt := trainOptions(t)
	opt.Batch, opt.Epochs, opt.Workers = 50, 1<<20, 1
	l := start(t, Whole(images(t, rgb, 100)), opt)
	next := func() {
		b, err := l.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		b.Release()
	}
	for range 20 {
		next()
	}
	if n := testing.AllocsPerRun(50, next); n > 5 {
		t.Errorf("%v allocations for a batch of 50", n)
	}
}

// BenchmarkLoaderCIFAR measures the standard training path: 32×32 images,
// crop, mirror, normalise, batch 128.
func BenchmarkLoaderCIFAR(b *testing.B) {
	size := pixel.Size{W: 32, H: 32, C: 3}
	const n = 10000
	l := start(b, Whole(images(b, size, n)), LoaderOptions{
		Batch: 128, Train: true, Epochs: 1 << 30, Seed: 1, Chain: chain(b, size, "crop", "mirror"),
	})
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
	b.ReportMetric(100*l.Timing().Wait.Seconds()/b.Elapsed().Seconds(), "%wait")
}

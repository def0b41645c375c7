package data

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/batch"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// byteOptions leave the images as 8-bit values, augmented and mixed.
func byteOptions(t testing.TB) LoaderOptions {
	opt := trainOptions(t)
	opt.Batch, opt.Repeats, opt.Bytes, opt.Chain = 6, 2, true, chain(t, rgb, "crop", "mirror", "autoaugment")
	var err error
	opt.Mix, err = batch.NewSwitch(opt.Epochs,
		batch.Choice{Name: "cutmix", P: 0.4, Mixer: batch.CutMix{Alpha: 1, Mode: batch.PerPair}},
		batch.Choice{Name: "ricap", P: 0.4, OffEpochs: 1, Mixer: batch.RICAP{Beta: 0.3, Mode: batch.PerBatch}})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// alike checks that a loader of bytes gives the batches of one of floats.
func alike(t *testing.T, set *Subset, opt LoaderOptions) {
	t.Helper()
	bytes := start(t, set, opt)
	opt.Bytes = false
	floats := start(t, set, opt)
	batches := 0
	for ; ; batches++ {
		a, errA := bytes.Next(context.Background())
		b, errB := floats.Next(context.Background())
		if errors.Is(errA, io.EOF) && errors.Is(errB, io.EOF) {
			break
		}
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if a.Images != nil || b.Bytes != nil || len(a.Bytes) != len(b.Images) {
			t.Fatalf("%d bytes and %d floats beside them, %d floats", len(a.Bytes), len(a.Images), len(b.Images))
		}
		got := a.Normalised()
		for i, v := range b.Images {
			if math.Float32bits(got[i]) != math.Float32bits(v) {
				t.Fatalf("batch %d: value %d is %v normalised later, %v at once", batches, i, got[i], v)
			}
		}
		if &b.Normalised()[0] != &b.Images[0] {
			t.Error("normalised images are copied")
		}
		if !slices.Equal(a.Targets, b.Targets) || !slices.Equal(a.Labels, b.Labels) || !slices.Equal(a.Indices, b.Indices) || a.Mixed != b.Mixed {
			t.Fatalf("batch %d: targets or images differ", batches)
		}
		a.Release()
		b.Release()
	}
	if batches == 0 {
		t.Error("no batches")
	}
}

func TestBytesAreTheImagesBeforeNormalisation(t *testing.T) {
	alike(t, Whole(images(t, rgb, 50)), byteOptions(t))
	grey := pixel.Size{W: 9, H: 7, C: 1}
	opt := byteOptions(t)
	opt.Chain, opt.Mix, opt.Train, opt.Repeats = chain(t, grey, "crop"), nil, false, 0
	alike(t, Whole(images(t, grey, 20)), opt)
	opt = photoOptions(t)
	opt.Bytes = true
	var steps []pixel.Named
	for _, name := range []string{"random_resized_crop", "mirror"} {
		o, err := pixel.Transforms.Defaults(name)
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, pixel.Named{Name: name, Options: o})
	}
	var err error
	if opt.Chain, err = pixel.NewChain(pixel.Info{In: photographs, Vary: true, Mean: []float64{0.4, 0.5, 0.6}, Std: []float64{0.2, 0.3, 0.1}}, steps...); err != nil {
		t.Fatal(err)
	}
	alike(t, Whole(photos(t, 40)), opt)
}

func TestByteBatchesDoNotDependOnTheWorkers(t *testing.T) {
	sameForAnyWorkers(t, byteOptions, 3*16)
}

func TestBytesOfTricksThatNeedFloats(t *testing.T) {
	set := Whole(images(t, rgb, 50))
	for want, change := range map[string]func(*LoaderOptions){
		"cutout": func(o *LoaderOptions) { o.Chain = chain(t, rgb, "crop", "cutout") },
		"mixup":  func(o *LoaderOptions) { o.Mix = mixing(t, o.Epochs) },
	} {
		opt := byteOptions(t)
		change(&opt)
		if _, err := NewLoader(context.Background(), set, opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestByteLoaderDoesNotAllocate(t *testing.T) {
	opt := byteOptions(t)
	opt.Epochs, opt.Batch, opt.Workers = 1000, 40, 1
	l := start(t, Whole(images(t, rgb, 100)), opt)
	next := func() {
		b, err := l.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		b.Normalised()
		b.Release()
	}
	for range 50 {
		next()
	}
	if n := testing.AllocsPerRun(200, next); n > 1 {
		t.Errorf("%.2f allocations a batch", n)
	}
}

func BenchmarkLoaderBytes(b *testing.B) {
	for _, bytes := range []bool{false, true} {
		name := map[bool]string{false: "float32", true: "uint8"}[bytes]
		b.Run(name, func(b *testing.B) {
			size := pixel.Size{W: 32, H: 32, C: 3}
			l := start(b, Whole(images(b, size, 10000)), LoaderOptions{
				Batch: 128, Train: true, Epochs: 1 << 30, Seed: 1, Chain: chain(b, size, "crop", "mirror"), Bytes: bytes})
			b.ReportAllocs()
			for b.Loop() {
				batch, err := l.Next(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				batch.Release()
			}
			b.ReportMetric(float64(b.N)*128/b.Elapsed().Seconds(), "images/s")
		})
	}
}

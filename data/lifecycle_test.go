package data

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ortrain/ortrain/tricks/pixel"
)

func TestLoaderErrors(t *testing.T) {
	set := Whole(images(t, rgb, 10))
	ok := LoaderOptions{Batch: 5, Train: true, Chain: chain(t, rgb)}
	tests := []struct {
		change func(*LoaderOptions)
		want   string
	}{
		{func(o *LoaderOptions) { o.Batch = 11 }, "batch: 11 is larger than the data set of 10 training images; lower the batch, or raise the limit"},
		{func(o *LoaderOptions) { o.Batch = 0 }, "loader: batch 0, workers 1, epochs 1: all must be positive"},
		{func(o *LoaderOptions) { o.Slots = 1 }, "loader: 1 slots; it takes at least 2 to load while training"},
		{func(o *LoaderOptions) { o.Start.Batch = 3 }, "loader: cannot start at batch 3 of epoch 0: an epoch has 2 batches"},
		{func(o *LoaderOptions) { o.Chain = chain(t, pixel.Size{W: 9, H: 9, C: 3}) }, "loader: the chain takes images of 9×9×3, the data set has 8×6×3"},
	}
	for _, tt := range tests {
		o := ok
		o.Workers = 1
		tt.change(&o)
		if _, err := NewLoader(context.Background(), set, o); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	if _, err := NewLoader(context.Background(), &Subset{Source: set.Source}, ok); err == nil || err.Error() != "loader: there are no images" {
		t.Errorf("no images: %v", err)
	}
	l := start(t, set, LoaderOptions{Batch: 1, Chain: chain(t, rgb), Slots: 2})
	for range 2 {
		if _, err := l.Next(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Next(context.Background()); err == nil || err.Error() != "loader: all 2 batches are lent; release one before asking for the next" {
		t.Errorf("all lent: %v", err)
	}
}

// trouble is a source that fails for some images.
type trouble struct {
	*Memory
	failing, panicking int
	gate               chan struct{} // if not nil, every Read waits for it
}

func (s *trouble) Read(i int, dst *pixel.Image) error {
	if s.gate != nil {
		<-s.gate
	}
	switch {
	case i == s.failing:
		return errors.New("file is cut off")
	case i >= s.panicking:
		panic("index out of range")
	}
	return s.Memory.Read(i, dst)
}

func TestFailuresNameTheImage(t *testing.T) {
	for _, tt := range []struct {
		failing, panicking int
		batches            int
		want               string
	}{
		{23, 1000, 4, "image 23: file is cut off"},
		{1000, 42, 8, "image 42, epoch 0: read: panic: index out of range"},
	} {
		for _, workers := range []int{1, 4} {
			source := &trouble{Memory: images(t, rgb, 100), failing: tt.failing, panicking: tt.panicking}
			l := start(t, Whole(source), LoaderOptions{Batch: 5, Chain: chain(t, rgb), Workers: workers})
			n := 0
			var err error
			for {
				var b *Batch
				if b, err = l.Next(context.Background()); err != nil {
					break
				}
				n++
				b.Release()
			}
			if n != tt.batches || err.Error() != tt.want {
				t.Errorf("%d workers: %d batches, then %v; want %d, then %s", workers, n, err, tt.batches, tt.want)
			}
			if _, again := l.Next(context.Background()); again == nil || again.Error() != tt.want {
				t.Errorf("asked again: %v", again)
			}
		}
	}
}

type wrongShaper struct{}

func (wrongShaper) Shape([]float32, int) { panic("bad shape") }

func TestPanicInTargets(t *testing.T) {
	l := start(t, Whole(images(t, rgb, 10)), LoaderOptions{Batch: 5, Chain: chain(t, rgb), Target: wrongShaper{}})
	if _, err := l.Next(context.Background()); err == nil || err.Error() != "batch 0, epoch 0: targets: panic: bad shape" {
		t.Errorf("got %v", err)
	}
}

// noLeaks fails if more goroutines run at the end than at the beginning.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 100 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
	})
}

func TestCancellationLeavesNothingBehind(t *testing.T) {
	set := Whole(images(t, rgb, 100))
	for _, batches := range []int{0, 1, 5} {
		noLeaks(t)
		ctx, cancel := context.WithCancel(context.Background())
		opt := trainOptions(t)
		opt.Epochs = 1000
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
				if !errors.Is(err, context.Canceled) {
					t.Errorf("after cancelling: %v", err)
				}
				break
			}
			b.Release()
		}
		l.Close()
		l.Close()
	}
}

func TestCloseWithoutReadingLeavesNothingBehind(t *testing.T) {
	noLeaks(t)
	opt := trainOptions(t)
	opt.Epochs = 1000
	l, err := NewLoader(context.Background(), Whole(images(t, rgb, 100)), opt)
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if len(b.Images) != 7*rgb.Elements() {
		t.Error("the lent batch is gone")
	}
	b.Release()
	if _, err := l.Next(context.Background()); err == nil {
		t.Error("a closed loader gave a batch")
	}
}

// Cancelling the wait for a batch loses no batch.
func TestImpatientConsumer(t *testing.T) {
	source := &trouble{Memory: images(t, rgb, 20), failing: -1, panicking: 1000, gate: make(chan struct{})}
	l := start(t, Whole(source), LoaderOptions{Batch: 5, Chain: chain(t, rgb), Workers: 2})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 3 {
		if _, err := l.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("impatient: %v", err)
		}
	}
	close(source.gate)
	if got := drain(t, l); len(got) != 4 || !strings.HasPrefix(got[0], "0.0 ") {
		t.Errorf("%d batches, the first %.10s", len(got), got[0])
	}
	timing := l.Timing()
	if timing.Wait <= 0 || timing.Images != 20 || timing.Batches != 4 || timing.Work <= 0 {
		t.Errorf("timing %+v", timing)
	}
	if rest := l.Timing().Sub(timing); rest.Images != 0 || rest.Work != 0 {
		t.Errorf("difference %+v", rest)
	}
}

package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ortrain/ortrain/tricks/batch"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/sampling"
	"github.com/ortrain/ortrain/tricks/target"
)

// LoaderOptions say how to make batches of a subset.
type LoaderOptions struct {
	// Batch is the number of images in a batch.
	Batch int
	// Train shuffles every epoch anew and drops an epoch's last batch if it
	// is incomplete, since the training step has a fixed batch size (the
	// dropped images differ from epoch to epoch). Otherwise images come in
	// order and the last batch may be shorter.
	Train bool
	// Epochs is the epoch before which the loader ends; 0 means 1.
	Epochs int
	// Start is the first batch, for resuming a run. What comes is what an
	// uninterrupted loader gives from there.
	Start Position
	// Sampling says which images a training epoch shows; nil shows each once,
	// shuffled.
	Sampling sampling.Sampling
	// Rank is this process's number among the World processes of a
	// distributed run, from 0; a World of 0 means 1. Each gets its share of
	// every epoch's batches, of training ones equally many.
	Rank, World int
	// Chain makes the planes of an image.
	Chain *pixel.Chain
	// Bytes leaves the images as 8-bit values that the model normalises: a
	// quarter of the memory and of the way to a device. No transform may then
	// need normalised images, nor may Mix.
	Bytes bool
	// Mix mixes the images and targets of training batches; nil does not.
	Mix *batch.Switch
	// Repeats is how many times a training batch, which must be a multiple of
	// it, shows each of its images, augmented by other draws; 0 means once. An
	// epoch has as many batches as without, and so shows fewer images.
	Repeats int
	// Target shapes the soft targets of a batch after mixing; nil leaves them
	// one-hot.
	Target target.Shaper
	// Seed, with the epoch and the image's number, determines every draw.
	Seed uint64
	// Workers is the number of goroutines that make images; 0 means one per
	// usable core. The batches do not depend on it.
	Workers int
	// SkipBroken is the number of different images that may be broken: others
	// take their places. The next one ends the loader. See OnBroken.
	SkipBroken int
	// Slots is the number of batches in memory; 0 means 4. One is lent, one
	// may be prepared for the device, the rest are filled ahead.
	Slots int
}

// Loader makes batches of images in parallel and hands them out in order. Its
// bytes are a function of the subset and the options that describe the images
// (not Workers and Slots), whatever the number of workers.
//
// Next and Close are for one goroutine; Release and Timing may be called from
// any.
type Loader struct {
	set     *Subset
	opt     LoaderOptions
	classes int
	steps   int // batches per epoch
	values  int // of an image
	chunk   int // images per task

	cancel context.CancelFunc
	done   <-chan struct{}
	cause  func() error // why done is closed
	wg     sync.WaitGroup

	all   []*Batch
	free  chan *Batch
	order chan *Batch // in the order of the run
	tasks chan task   // images to make
	mixes chan task   // images to mix, which go first

	unmade    sync.WaitGroup // batches planned and not yet complete
	scratch   chan *scratch
	mixStream *rng.Stream // belongs to produce

	next     *Batch // taken from order, not yet handed out
	failed   error  // what Next returns from now on
	onBroken func(error)
	broken   map[int]bool // images told to be broken; belongs to Next
	lent     atomic.Int32
	sums     counters
}

// task is a run of images of one batch.
type task struct {
	batch    *Batch
	from, to int
}

// NewLoader starts a loader. It stops at the end of its epochs, when ctx is
// cancelled, or at Close, which must be called in any case.
func NewLoader(ctx context.Context, set *Subset, opt LoaderOptions) (*Loader, error) {
	if opt.Epochs == 0 {
		opt.Epochs = 1
	}
	if opt.Workers == 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	if opt.Slots == 0 {
		opt.Slots = 4
	}
	if opt.Repeats == 0 || !opt.Train {
		opt.Repeats = 1
	}
	if opt.World == 0 {
		opt.World = 1
	}
	if opt.Sampling == nil {
		opt.Sampling = sampling.Shuffle(set.Len())
	}
	if err := check(set, opt); err != nil {
		return nil, err
	}
	l := &Loader{set: set, opt: opt, classes: len(set.Source.Classes()), values: opt.Chain.Out().Elements()}
	l.steps = l.share(l.batches())
	if opt.Start.Epoch < 0 || opt.Start.Batch < 0 || opt.Start.Batch > l.steps {
		return nil, fmt.Errorf("loader: cannot start at batch %d of epoch %d: an epoch has %d batches", opt.Start.Batch, opt.Start.Epoch, l.steps)
	}
	// A few tasks a worker and batch: the last one to finish is not far
	// behind the others.
	l.chunk = min(max(opt.Batch/(4*opt.Workers), 1), 32)
	perBatch := (opt.Batch + l.chunk - 1) / l.chunk
	l.free = make(chan *Batch, opt.Slots)
	l.order = make(chan *Batch, opt.Slots)
	l.tasks = make(chan task, opt.Slots*perBatch)
	l.mixes = make(chan task, opt.Slots*perBatch)
	l.mixStream = rng.NewStream()
	l.prepareMix()
	for i := range opt.Slots {
		b := &Batch{
			Slot: i, loader: l, ready: make(chan struct{}, 1),
			images: newPlanes(opt.Batch*l.values, opt.Bytes), targets: make([]float32, opt.Batch*l.classes),
			labels: make([]int, opt.Batch), indices: make([]int, opt.Batch), repeat: make([]int, opt.Batch), at: make([]int, opt.Batch),
		}
		l.all = append(l.all, b)
		l.free <- b
	}
	ctx, l.cancel = context.WithCancel(ctx)
	l.done, l.cause = ctx.Done(), ctx.Err
	l.wg.Go(l.produce)
	for range opt.Workers {
		l.wg.Go(l.work)
	}
	return l, nil
}

func check(set *Subset, opt LoaderOptions) error {
	switch {
	case opt.Batch < 1 || opt.Workers < 1 || opt.Epochs < 1:
		return fmt.Errorf("loader: batch %d, workers %d, epochs %d: all must be positive", opt.Batch, opt.Workers, opt.Epochs)
	case opt.Slots < 2:
		return fmt.Errorf("loader: %d slots; it takes at least 2 to load while training", opt.Slots)
	case set.Len() == 0:
		return errors.New("loader: there are no images")
	case opt.World < 1 || opt.Rank < 0 || opt.Rank >= opt.World:
		return fmt.Errorf("loader: process %d of %d", opt.Rank, opt.World)
	case opt.Train && opt.Batch*opt.World > set.Len() && opt.World > 1:
		return fmt.Errorf("batch: %d in each of %d processes is more than the %d training images; lower the batch", opt.Batch, opt.World, set.Len())
	case opt.Train && opt.Batch > set.Len():
		return fmt.Errorf("batch: %d is larger than the data set of %d training images; lower the batch, or raise the limit", opt.Batch, set.Len())
	case opt.Repeats < 1 || opt.Batch%opt.Repeats != 0:
		return fmt.Errorf("loader: a batch of %d cannot show every image %d times; make it a multiple", opt.Batch, opt.Repeats)
	case opt.Train && opt.Mix != nil && opt.Batch < 2:
		return errors.New("loader: a batch of 1 has nothing to mix; raise the batch")
	case encoded(set.Source) && !opt.Chain.Varies():
		return errors.New("loader: the images are of various sizes, the chain takes one")
	case opt.Chain.In() != set.Source.Size():
		return fmt.Errorf("loader: the chain takes images of %v, the data set has %v", opt.Chain.In(), set.Source.Size())
	}
	if opt.Bytes {
		return checkBytes(opt.Chain, opt.Mix)
	}
	return nil
}

func encoded(s Source) bool {
	_, ok := s.(Encoded)
	return ok
}

// StepsPerEpoch returns the number of batches of an epoch.
func (l *Loader) StepsPerEpoch() int { return l.steps }

// Slots returns the number of batches in memory.
func (l *Loader) Slots() int { return len(l.all) }

// OnBroken has Next call a function with the error of every image, once, that
// another stands for. It is to be called before the first Next.
func (l *Loader) OnBroken(tell func(error)) { l.onBroken = tell }

// KnowBroken takes numbers of images as told to be broken already, by the part of
// the run before Start: they count towards SkipBroken and are not told again. It
// is to be called before the first Next.
func (l *Loader) KnowBroken(images []int) {
	for _, i := range images {
		l.know(i)
	}
}

// Timing returns where the time went since the loader started.
func (l *Loader) Timing() Timing { return l.sums.timing() }

// Next lends the next batch of the run. At the end of the last epoch it
// returns io.EOF. An image that cannot be read or transformed ends the
// loader at its batch, with an error that names the image. Cancelling ctx
// only ends the wait; a later Next returns the same batch.
func (l *Loader) Next(ctx context.Context) (*Batch, error) {
	if l.failed != nil {
		return nil, l.failed
	}
	if int(l.lent.Load()) == len(l.all) {
		return nil, fmt.Errorf("loader: all %d batches are lent; release one before asking for the next", len(l.all))
	}
	if err := l.await(ctx); err != nil {
		return nil, err
	}
	b := l.next
	l.next = nil
	if b.err == nil && len(b.broken) > 0 {
		b.err = l.tell(b)
	}
	if b.err != nil {
		l.failed = b.err
		l.cancel()
		return nil, l.failed
	}
	l.lent.Add(1)
	b.lent.Store(true)
	return b, nil
}

// await takes the next batch from the order and waits until it is ready.
func (l *Loader) await(ctx context.Context) error {
	if l.next != nil || len(l.order) > 0 {
		// Usually there is one, and neither a clock nor a select is needed.
		if l.next == nil {
			l.next = <-l.order
		}
		select {
		case <-l.next.ready:
			return nil
		default:
		}
	}
	start := time.Now()
	defer func() { l.sums.wait.Add(int64(time.Since(start))) }()
	if l.next == nil {
		select {
		case b, ok := <-l.order:
			if !ok {
				l.failed = io.EOF
				if err := l.cause(); err != nil {
					l.failed = err
				}
				return l.failed
			}
			l.next = b
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-l.next.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		l.failed = l.cause()
		return l.failed
	}
}

func (l *Loader) stopped() bool { return l.cause() != nil }

// Close stops the loader and waits for its goroutines. Batches that are still
// lent stay readable.
func (l *Loader) Close() {
	l.cancel()
	l.wg.Wait()
	if l.failed == nil {
		l.failed = errors.New("loader: closed")
	}
}

// work makes images until there are no more tasks.
func (l *Loader) work() {
	m := newMaker(l.set, l.opt.Chain)
	tasks := l.tasks
	for {
		var t task
		var ok, mixing bool
		// Mixing goes first: it completes a batch and frees its scratch.
		select {
		case t, ok = <-l.mixes:
			mixing = true
		default:
			select {
			case t, ok = <-l.mixes:
				mixing = true
			case t, ok = <-tasks:
			}
		}
		switch {
		case mixing && !ok:
			return
		case !ok:
			tasks = nil // all are taken; there may be mixing to come
		case mixing:
			if !l.stopped() {
				l.mix(t)
			}
			l.pass(t.batch, true)
		default:
			if !l.stopped() {
				l.fill(t, m)
			}
			l.pass(t.batch, t.batch.mixer == nil)
		}
	}
}

// pass counts a task of a batch as done and, if it is the last one of the
// stage, sends the batch on: to be mixed, or, after the final stage, to be
// finished. When the loader is stopped it only counts.
func (l *Loader) pass(b *Batch, final bool) {
	if b.pending.Add(-1) > 0 {
		return
	}
	if !final && !l.stopped() {
		l.cut(b, l.mixes)
		return
	}
	defer l.unmade.Done()
	if l.stopped() {
		return
	}
	l.finish(b)
	b.ready <- struct{}{}
}

// finish does what needs the whole batch.
func (l *Loader) finish(b *Batch) {
	start := time.Now()
	defer func() {
		if r := recover(); r != nil {
			b.fail(b.Count, fmt.Errorf("batch %d, epoch %d: targets: panic: %v", b.Index, b.Epoch, r))
		}
		if b.raw != nil {
			l.scratch <- b.raw
			b.raw = nil
		}
		l.sums.target.Add(int64(time.Since(start)))
		l.sums.batches.Add(1)
	}()
	l.makeTargets(b)
}

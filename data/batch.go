package data

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ortrain/ortrain/tricks/batch"
)

// Position is a place in a run: the next batch to be trained on.
type Position struct {
	Epoch int // from 0
	Batch int // within the epoch, from 0
}

// Batch is a batch of images ready for the model. It belongs to its loader
// and is lent to whoever got it from Next until Release; its slices keep
// their addresses for the loader's lifetime, so they can be bound to tensors
// once.
type Batch struct {
	// Slot numbers the loader's batches, 0 to Loader.Slots()−1: batches with
	// the same slot share their memory.
	Slot int
	// Images is Count×C×H×W, normalised.
	Images []float32
	// Targets is Count×K, rows summing to one unless classes are weighted.
	Targets []float32
	// Labels are the true classes before any shaping or mixing. In a mixed
	// batch the images are made of several; see Draw.
	Labels []int
	// Indices are the numbers in the source of the images before mixing.
	Indices []int
	// Mixed names the trick that mixed the batch; empty if none did.
	Mixed string
	// Draw says what each mixed image is made of, if Mixed is not empty.
	Draw batch.Draw
	// Count is the number of images: the loader's batch size, or fewer in the
	// last batch of an evaluation.
	Count int
	// Epoch and Index are the batch's place in the run, both from 0; Step is
	// Epoch·StepsPerEpoch + Index.
	Epoch, Index, Step int
	// Last tells that the epoch ends with this batch.
	Last bool

	loader *Loader
	lent   atomic.Bool

	// The whole buffers, of which Images, Targets, Labels and Indices are the
	// first Count rows.
	images, targets []float32
	labels, indices []int
	repeat          []int // which repetition of an image it is, from 0

	mixer batch.Mixer // nil if the batch is not mixed
	raw   *scratch    // holds the images and targets before mixing

	pending atomic.Int32  // chunks still being worked on in the present stage
	ready   chan struct{} // receives one value when pending reaches 0

	failure sync.Mutex // guards the two below
	failed  int        // position of the first image that failed
	err     error
}

// Release gives the batch back to its loader, which fills it again. The batch
// and its slices must not be used afterwards. Releasing twice does nothing.
func (b *Batch) Release() {
	if b.lent.Swap(false) {
		b.loader.lent.Add(-1)
		b.loader.free <- b
	}
}

// fail records the error of the image at a position; the first position wins,
// so that the report does not depend on the workers.
func (b *Batch) fail(position int, err error) {
	b.failure.Lock()
	defer b.failure.Unlock()
	if b.err == nil || position < b.failed {
		b.failed, b.err = position, err
	}
}

// Timing adds up where a loader's time goes.
type Timing struct {
	// Wait is the time Next was blocked: what the data costs the training.
	Wait time.Duration
	// Idle is the time the loader was blocked because all batches were full:
	// how far it is ahead.
	Idle time.Duration
	// Work is the time all workers together were busy, the sum of the four
	// stages. Read and Transform are estimated from one image in every chunk.
	Work, Read, Transform, Target, Mix time.Duration
	// Images and Batches count what has been made.
	Images, Batches int
}

// Sub returns the difference from an earlier timing of the same loader.
func (t Timing) Sub(earlier Timing) Timing {
	return Timing{
		Wait: t.Wait - earlier.Wait, Idle: t.Idle - earlier.Idle, Work: t.Work - earlier.Work,
		Read: t.Read - earlier.Read, Transform: t.Transform - earlier.Transform, Target: t.Target - earlier.Target, Mix: t.Mix - earlier.Mix,
		Images: t.Images - earlier.Images, Batches: t.Batches - earlier.Batches,
	}
}

// counters are the running sums behind a Timing.
type counters struct {
	wait, idle, read, transform, target, mix atomic.Int64 // nanoseconds
	images, batches                          atomic.Int64
}

func (c *counters) timing() Timing {
	t := Timing{
		Wait: time.Duration(c.wait.Load()), Idle: time.Duration(c.idle.Load()),
		Read: time.Duration(c.read.Load()), Transform: time.Duration(c.transform.Load()), Target: time.Duration(c.target.Load()), Mix: time.Duration(c.mix.Load()),
		Images: int(c.images.Load()), Batches: int(c.batches.Load()),
	}
	t.Work = t.Read + t.Transform + t.Target + t.Mix
	return t
}

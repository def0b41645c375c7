package data

import (
	"sync"
	"sync/atomic"

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
	// Images is Count×C×H×W, normalised; nil where the loader leaves that to
	// the model.
	Images []float32
	// Bytes is Count×C×H×W of 8-bit values, in place of Images, where the
	// loader's options ask for them.
	Bytes []uint8
	// Targets is Count×K, rows summing to one unless classes are weighted.
	Targets []float32
	// Labels are the true classes before any shaping or mixing. In a mixed
	// batch the images are made of several; see Draw.
	Labels []int
	// Indices are the numbers in the source of the images before mixing.
	Indices []int
	// Broken are the numbers of the images, found broken in making this batch,
	// that no earlier batch of the run has named; others stand for them.
	Broken []int
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

	// The whole buffers, of which Images or Bytes, Targets, Labels and Indices
	// are the first Count rows.
	images          planes
	targets         []float32
	labels, indices []int
	normalised      []float32 // for those who ask for Bytes normalised
	repeat          []int     // which repetition of an image it is, from 0
	at              []int     // the images' places in the subset

	mixer batch.Mixer // nil if the batch is not mixed
	raw   *scratch    // holds the images and targets before mixing

	pending atomic.Int32  // chunks still being worked on in the present stage
	ready   chan struct{} // receives one value when pending reaches 0

	failure sync.Mutex // guards the three below
	failed  int        // position of the first image that failed
	err     error
	broken  []brokenImage // images that others stand for
}

// Normalised returns the batch's images, Count×C×H×W, normalised whatever the
// loader made: the batch's memory, like Images.
func (b *Batch) Normalised() []float32 {
	if b.Bytes == nil {
		return b.Images
	}
	if b.normalised == nil {
		b.normalised = make([]float32, len(b.images.bytes))
	}
	out := b.normalised[:len(b.Bytes)]
	b.loader.opt.Chain.Normaliser().ApplyPlanes(out, b.Bytes, b.loader.opt.Chain.Out())
	return out
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

package data

import (
	"fmt"
	"time"

	"github.com/ortrain/ortrain/tricks/batch"
	"github.com/ortrain/ortrain/tricks/target"
)

// A batch that is to be mixed is made in two stages: its images are filled
// into a scratch buffer, task by task, and when all are there a second round
// of tasks mixes them into the batch. Both rounds are cut into the same
// tasks, every image is written by one of them, and a mixed image depends on
// the scratch and the draw alone, so the bytes do not depend on who does what.
//
// Whether a batch is mixed, and how, is drawn when it is planned: a batch that
// is not goes straight to its own memory.

// scratch holds a batch before it is mixed. There are fewer of them than
// batches: one is needed only while its batch is being made.
type scratch struct {
	images  planes
	targets []float32
}

// scratches is how many batches may be on their way to be mixed: while the
// last tasks of one are at work, the next is already being filled.
const scratches = 2

// prepareMix makes what mixing needs.
func (l *Loader) prepareMix() {
	if !l.opt.Train {
		l.opt.Mix = nil
	}
	if l.opt.Mix == nil {
		return
	}
	l.scratch = make(chan *scratch, scratches)
	for range scratches {
		l.scratch <- &scratch{
			images: newPlanes(l.opt.Batch*l.values, l.opt.Bytes), targets: make([]float32, l.opt.Batch*l.classes),
		}
	}
}

// planMix draws the mixing of a batch. It reports false when the loader was
// stopped while waiting for a scratch.
func (l *Loader) planMix(b *Batch) bool {
	b.mixer, b.Mixed = nil, ""
	if l.opt.Mix == nil {
		return true
	}
	b.mixer, b.Mixed = l.opt.Mix.Sample(l.mixStream, l.opt.Seed, b.Epoch, l.global(b.Index), l.shape(b), &b.Draw)
	if b.mixer == nil {
		return true
	}
	select {
	case b.raw = <-l.scratch:
		return true
	case <-l.done:
		return false
	}
}

func (l *Loader) shape(b *Batch) batch.Shape {
	out := l.opt.Chain.Out()
	return batch.Shape{N: b.Count, C: out.C, H: out.H, W: out.W}
}

// filled is where the images go before mixing, if there is any.
func (b *Batch) filled() planes {
	if b.raw != nil {
		return b.raw.images
	}
	return b.images
}

// mix makes the mixed images of one task.
func (l *Loader) mix(t task) {
	b, position := t.batch, t.from
	start := time.Now()
	defer func() {
		if r := recover(); r != nil {
			b.fail(position, fmt.Errorf("batch %d, epoch %d: %s: panic: %v", b.Index, b.Epoch, b.Mixed, r))
		}
		l.sums.mix.Add(int64(time.Since(start)))
	}()
	src, shape := b.raw.images.cut(0, b.Count*l.values), l.shape(b)
	for ; position < t.to; position++ {
		b.images.cut(position*l.values, (position+1)*l.values).mix(b.mixer, src, shape, &b.Draw, position)
	}
}

// makeTargets fills a batch's targets: one-hot, mixed, shaped.
func (l *Loader) makeTargets(b *Batch) {
	if b.mixer == nil {
		target.OneHot(b.Targets, b.Labels, l.classes)
	} else {
		plain := b.raw.targets[:b.Count*l.classes]
		target.OneHot(plain, b.Labels, l.classes)
		b.Draw.Targets(b.Targets, plain, l.classes)
	}
	if l.opt.Target != nil {
		l.opt.Target.Shape(b.Targets, l.classes)
	}
}

package data

import "time"

// produce plans the batches in order and cuts them into tasks.
func (l *Loader) produce() {
	l.planAll()
	close(l.tasks)
	close(l.order)
	l.unmade.Wait() // nobody adds to the mixing any more
	close(l.mixes)
}

func (l *Loader) planAll() {
	for epoch, first := l.opt.Start.Epoch, l.opt.Start.Batch; epoch < l.opt.Epochs; epoch, first = epoch+1, 0 {
		s := l.sampler(epoch)
		for index := first; index < l.steps; index++ {
			b := l.take()
			if b == nil {
				return
			}
			l.plan(b, s, epoch, index)
			if !l.planMix(b) {
				return
			}
			l.unmade.Add(1)
			l.order <- b // never blocks: it holds as many as there are slots
			l.cut(b, l.tasks)
		}
	}
}

// cut sends a batch in tasks; the channels hold those of all batches, so that
// it never blocks.
func (l *Loader) cut(b *Batch, to chan<- task) {
	n := b.Count // once the last task is sent, the batch may be gone
	b.pending.Store(int32((n + l.chunk - 1) / l.chunk))
	for from := 0; from < n; from += l.chunk {
		to <- task{b, from, min(from+l.chunk, n)}
	}
}

// take returns a free batch, or nil when the loader is stopped.
func (l *Loader) take() *Batch {
	if l.stopped() {
		return nil
	}
	select {
	case b := <-l.free:
		return b
	default:
	}
	start := time.Now()
	defer func() { l.sums.idle.Add(int64(time.Since(start))) }()
	select {
	case b := <-l.free:
		return b
	case <-l.done:
		return nil
	}
}

// plan decides which images are in a batch.
func (l *Loader) plan(b *Batch, s *sampler, epoch, index int) {
	first := l.global(index) * l.opt.Batch
	n := min(l.opt.Batch, l.set.Len()-first)
	b.Epoch, b.Index, b.Step, b.Count = epoch, index, epoch*l.steps+index, n
	b.Last = index == l.steps-1
	images := b.images.cut(0, n*l.values)
	b.Images, b.Bytes, b.Targets = images.floats, images.bytes, b.targets[:n*l.classes]
	b.Labels, b.Indices = b.labels[:n], b.indices[:n]
	b.err, b.broken, b.Broken = nil, b.broken[:0], b.Broken[:0]
	for i := range n {
		at, repetition := s.at(first + i)
		b.Indices[i], b.Labels[i], b.repeat[i], b.at[i] = l.set.At(at), l.set.Label(at), repetition, at
	}
}

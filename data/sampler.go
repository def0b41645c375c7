package data

import (
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/sampling"
)

// sampler decides which images an epoch shows, in which order.
type sampler struct {
	order   sampling.Order // nil for the subset's own
	repeats int            // how many times in a row each image is shown, at least 1
}

// at returns which of the subset's images stands at a position of the epoch,
// and which repetition of it that is. With m repetitions an epoch goes through
// the first 1/m of its images.
func (s *sampler) at(position int) (image, repetition int) {
	if s.order == nil {
		return position, 0
	}
	return s.order.At(position / s.repeats), position % s.repeats
}

// sampler returns the sampler of an epoch.
func (l *Loader) sampler(epoch int) *sampler {
	s := &sampler{repeats: l.opt.Repeats}
	if l.opt.Train {
		s.order = l.opt.Sampling.Epoch(l.opt.Seed, epoch)
	}
	return s
}

// A distributed run deals the batches of an epoch to its workers in turn, as
// one process would make them: batch i of worker r of w is batch i·w + r of
// the epoch. So together they show what one process with as large a batch
// shows, nothing is lost or doubled, and none needs to know of the others.

// batches returns how many batches an epoch has for all workers together.
func (l *Loader) batches() int {
	if l.opt.Train {
		return l.set.Len() / l.opt.Batch / l.opt.World * l.opt.World
	}
	return (l.set.Len() + l.opt.Batch - 1) / l.opt.Batch
}

// share returns how many of the batches are this worker's.
func (l *Loader) share(batches int) int {
	return (batches - l.opt.Rank + l.opt.World - 1) / l.opt.World
}

// global returns the number in the epoch of this worker's batch.
func (l *Loader) global(index int) int { return index*l.opt.World + l.opt.Rank }

var repetitionKey = rng.NewKey("repeated_augmentation")

// repetitionSeed returns the seed that augments a repetition of an image.
// Repetition 0 has the run's own, so that without repetitions nothing changes.
func repetitionSeed(seed uint64, repetition int) uint64 {
	if repetition == 0 {
		return seed
	}
	return rng.Mix(seed, uint64(repetition), uint64(repetitionKey))
}

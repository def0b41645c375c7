package data

import "github.com/ortrain/ortrain/tricks/rng"

// sampler decides which images an epoch shows, in which order.
type sampler struct {
	train   bool
	repeats int // how many times in a row each image is shown, at least 1
	shuffle rng.Permutation
}

// at returns which of the subset's images stands at a position of the epoch,
// and which repetition of it that is. With m repetitions an epoch goes through
// the first 1/m of its shuffled images.
func (s *sampler) at(position int) (image, repetition int) {
	if !s.train {
		return position, 0
	}
	return s.shuffle.At(position / s.repeats), position % s.repeats
}

var repetitionKey = rng.NewKey("repeated_augmentation")

// repetitionSeed returns the seed that augments a repetition of an image.
// Repetition 0 has the run's own, so that without repetitions nothing changes.
func repetitionSeed(seed uint64, repetition int) uint64 {
	if repetition == 0 {
		return seed
	}
	return rng.Mix(seed, uint64(repetition), uint64(repetitionKey))
}

// Package rng makes randomness a function instead of a state: every draw is
// determined by (seed, epoch, index, trick), so a run gives the same bytes
// with any number of workers, and a resumed run equals an uninterrupted one.
package rng

import "math/rand/v2"

// Key names an independent family of streams, usually one trick. Make it once
// with NewKey, not per image.
type Key uint64

// NewKey hashes a trick's name (64-bit FNV-1a, then mixed).
func NewKey(name string) Key {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return Key(mix(h))
}

// Nth returns the key of the n-th use (from 0) of a trick in one recipe, so
// that listing a trick twice draws twice. Nth(0) is the key itself.
func (k Key) Nth(n int) Key {
	if n == 0 {
		return k
	}
	return Key(mix(uint64(k) + uint64(n)*golden))
}

// Stream is a source of random numbers that can be moved to any point of
// (seed, epoch, index, trick) without allocating. It is not safe for
// concurrent use: each worker owns one. The draws are those of
// math/rand/v2.Rand over a PCG; as a rand.Source it also feeds gonum's
// distributions.
type Stream struct {
	*rand.Rand
	pcg rand.PCG
}

// NewStream returns a stream positioned at (0, 0, 0, 0).
func NewStream() *Stream {
	s := new(Stream)
	s.Rand = rand.New(&s.pcg)
	s.Reset(0, 0, 0, 0)
	return s
}

// Reset moves the stream to the start of the draws for one sample (or batch)
// index of one epoch. It neither allocates nor depends on earlier draws.
func (s *Stream) Reset(seed uint64, epoch, index int, key Key) {
	hi := Mix(seed, uint64(epoch), uint64(index), uint64(key))
	s.pcg.Seed(hi, mix(hi^0xd6e8feb86659fd93))
}

const golden = 0x9e3779b97f4a7c15

// Mix hashes a short list of words into one, each word's position counting.
// Every bit of every word changes every bit of the result with probability
// about one half.
func Mix(words ...uint64) uint64 {
	h := uint64(len(words)) * golden
	for _, w := range words {
		h = mix(h+golden) ^ w
		h = mix(h)
	}
	return h
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014, "Fast
// splittable pseudorandom number generators"; constants of Stafford's
// variant 13). It is a bijection.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

package rng

import (
	"fmt"
	"math/bits"
)

// Permutation is a random bijection of [0, n) that is computed one value at a
// time: shuffling a data set takes no index array, and any position of any
// epoch can be asked for directly, which is what an exact resume needs.
//
// It is a Feistel network over the smallest power of two that holds n, with
// values outside [0, n) walked round until they fall inside (Black and
// Rogaway 2002, "Ciphers with arbitrary finite domains", methods 2 and 3).
// Fewer than two walks are needed on average for n > 128. It is well mixed, but not a
// cipher.
type Permutation struct {
	n           uint64
	left, right uint
	keys        [rounds]uint64
}

const (
	// rounds is even, so that both halves are rewritten equally often.
	rounds = 10
	// narrowest is the least width of the network in bits: halves of one or
	// two bits would leave visible bias, so tiny sets walk further instead.
	narrowest = 8
)

// NewPermutation returns the permutation of [0, n) for an epoch of a run. It
// panics if n is negative.
func NewPermutation(n int, seed uint64, epoch int) Permutation {
	return NewKeyedPermutation(n, Mix(seed, uint64(epoch), uint64(NewKey("permutation"))))
}

// NewKeyedPermutation returns the permutation of [0, n) chosen by key. It
// panics if n is negative.
func NewKeyedPermutation(n int, key uint64) Permutation {
	if n < 0 {
		panic(fmt.Sprintf("rng: permutation of %d values", n))
	}
	p := Permutation{n: uint64(n)}
	if n < 2 {
		return p
	}
	width := max(uint(bits.Len64(p.n-1)), narrowest)
	p.left, p.right = width/2, width-width/2
	for i := range p.keys {
		p.keys[i] = Mix(key, uint64(n), uint64(i))
	}
	return p
}

// Len returns n.
func (p *Permutation) Len() int { return int(p.n) }

// At returns the value at position i. It panics if i is outside [0, n).
func (p *Permutation) At(i int) int {
	if uint64(i) >= p.n {
		panic(fmt.Sprintf("rng: position %d of a permutation of %d values", i, p.n))
	}
	if p.n < 2 {
		return i
	}
	x := uint64(i)
	for {
		x = p.encipher(x)
		if x < p.n {
			return int(x)
		}
	}
}

// encipher is a bijection of [0, 2^(left+right)): each round adds to one half
// a function of the other.
func (p *Permutation) encipher(x uint64) uint64 {
	l, r := x>>p.right, x&(1<<p.right-1)
	for i := 0; i < rounds; i += 2 {
		// The high bits of mix are its best.
		l ^= mix(r^p.keys[i]) >> (64 - p.left) // a shift by 64 gives 0
		r ^= mix(l^p.keys[i+1]) >> (64 - p.right)
	}
	return l<<p.right | r
}

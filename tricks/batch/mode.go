package batch

import (
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

// Mode says which images of a batch share a draw.
type Mode string

// The modes.
const (
	// PerBatch draws once for the whole batch; partners are given by a random
	// permutation.
	PerBatch Mode = "batch"
	// PerPair matches the images two by two, each the other's partner, and
	// draws once a pair. The odd image of a batch stays as it is.
	PerPair Mode = "pair"
	// PerElement draws for every image; partners are given by a random
	// permutation.
	PerElement Mode = "element"
)

func checkMode(mode string, known ...Mode) error {
	var names []string
	for _, m := range known {
		if m == Mode(mode) {
			return nil
		}
		names = append(names, string(m))
	}
	return strict.Errorf("mode", "unknown mode %q%s", mode, nearest.Hint(mode, names))
}

// partners calls set once for every image i of n with its partner j, and
// fresh, which tells whether the mode wants a new draw for it. The partner of
// an image may be the image itself.
func (m Mode) partners(r *rng.Stream, n int, set func(i, j int, fresh bool)) {
	order := rng.NewKeyedPermutation(n, r.Uint64())
	if m != PerPair {
		for i := range n {
			set(i, order.At(i), i == 0 || m == PerElement)
		}
		return
	}
	for at := 0; at+1 < n; at += 2 {
		i, j := order.At(at), order.At(at+1)
		set(i, j, true)
		set(j, i, false)
	}
	if n%2 == 1 {
		i := order.At(n - 1)
		set(i, i, false)
	}
}

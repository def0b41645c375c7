package sampling

import (
	"sort"

	"github.com/ortrain/ortrain/tricks/rng"
)

// byClass shows every class a fixed number of times an epoch.
//
// A permutation deals the positions of an epoch to the classes, each as many as
// its quota: so the numbers are exact, not only right in the mean. The j-th
// time that a class comes up in the whole run shows its image number j of a
// shuffle of its images, which is followed by another shuffle: no image of a
// class is shown a second time before all others were shown once.
type byClass struct {
	start   []int    // of each class in members, and their end
	members []uint32 // the images, class by class
	first   []int    // of each class among the positions, and their end
}

// newByClass shares n positions out in proportion to the classes' shares, by
// largest remainders. Classes without images have a share of 0, and not all
// have.
func newByClass(info Info, counts []int, shares []float64) *byClass {
	b := &byClass{start: make([]int, info.Classes+1), members: make([]uint32, info.Len), first: make([]int, info.Classes+1)}
	for c, n := range counts {
		b.start[c+1] = b.start[c] + n
	}
	next := append([]int(nil), b.start...)
	for i := range info.Len {
		c := info.Label(i)
		b.members[next[c]] = uint32(i)
		next[c]++
	}
	for c, q := range apportion(info.Len, shares) {
		b.first[c+1] = b.first[c] + q
	}
	return b
}

// apportion divides n in proportion to shares, by largest remainders.
func apportion(n int, shares []float64) []int {
	sum := 0.0
	for _, s := range shares {
		sum += s
	}
	quota, rest, order := make([]int, len(shares)), make([]float64, len(shares)), make([]int, len(shares))
	left := n
	for c, s := range shares {
		exact := float64(n) * s / sum
		quota[c] = int(exact)
		rest[c], order[c] = exact-float64(quota[c]), c
		left -= quota[c]
	}
	sort.SliceStable(order, func(i, j int) bool { return rest[order[i]] > rest[order[j]] })
	for _, c := range order {
		if left == 0 {
			break
		}
		if shares[c] > 0 {
			quota[c]++
			left--
		}
	}
	return quota
}

// counts returns how many images each class has.
func counts(info Info) []int {
	n := make([]int, info.Classes)
	for i := range info.Len {
		n[info.Label(i)]++
	}
	return n
}

var (
	dealKey  = rng.NewKey("sampling")
	classKey = rng.NewKey("sampling.class")
)

// Epoch implements Sampling.
func (b *byClass) Epoch(seed uint64, epoch int) Order {
	return &classOrder{b, seed, epoch, rng.NewKeyedPermutation(len(b.members), rng.Mix(seed, uint64(epoch), uint64(dealKey)))}
}

type classOrder struct {
	*byClass
	seed  uint64
	epoch int
	deal  rng.Permutation
}

// At implements Order.
func (o *classOrder) At(position int) int {
	at := o.deal.At(position)
	c := sort.SearchInts(o.first, at+1) - 1
	n := o.start[c+1] - o.start[c]
	use := o.epoch*(o.first[c+1]-o.first[c]) + at - o.first[c]
	shuffle := rng.NewKeyedPermutation(n, rng.Mix(o.seed, uint64(c), uint64(use/n), uint64(classKey)))
	return int(o.members[o.start[c]+shuffle.At(use%n)])
}

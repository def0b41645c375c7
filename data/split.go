package data

import (
	"fmt"
	"runtime"
	"sort"
	"sync"

	"github.com/ortrain/ortrain/tricks/rng"
)

// Split takes n images out of a subset, each class giving its share (by
// largest remainders), and returns them and the rest, both in the subset's
// order. Which images are taken is a function of the seed. It panics if n is
// outside [0, s.Len()].
func (s *Subset) Split(n int, seed uint64) (taken, rest *Subset) {
	classes := s.byClass()
	// The exact share of class c is n·size/total.
	quota := make([]int, len(classes))
	order := make([]int, len(classes))
	left := n
	for c, members := range classes {
		quota[c] = n * len(members) / s.Len()
		left -= quota[c]
		order[c] = c
	}
	sort.SliceStable(order, func(i, j int) bool {
		return n*len(classes[order[i]])%s.Len() > n*len(classes[order[j]])%s.Len()
	})
	for _, c := range order[:left] {
		quota[c]++
	}
	return s.choose(classes, quota, rng.Mix(seed, uint64(rng.NewKey("validation"))))
}

// Folds cuts a subset into k parts of the same size (or one image more), each
// class giving its share to each. Which image is where is a function of the
// seed. It panics if k is not 1 to s.Len().
func (s *Subset) Folds(k int, seed uint64) []*Subset {
	if k < 1 || k > s.Len() {
		panic(fmt.Sprintf("data: %d folds of %d images", k, s.Len()))
	}
	rest, folds := s, make([]*Subset, k)
	for i := range folds {
		folds[i], rest = rest.Split(rest.Len()/(k-i), rng.Mix(seed, uint64(i), uint64(rng.NewKey("fold"))))
	}
	return folds
}

// Without returns the images of a subset that are not in another one of the
// same source, in the subset's order.
func (s *Subset) Without(other *Subset) *Subset {
	taken := make(map[int]bool, other.Len())
	for i := range other.All() {
		taken[i] = true
	}
	rest := Some(s.Source, make([]uint32, 0, s.Len()))
	for i := range s.All() {
		if !taken[i] {
			rest.index = append(rest.index, uint32(i))
		}
	}
	rest.n = len(rest.index)
	return rest
}

// Limit returns at most n images of a subset, in the subset's order, taking
// equally many of every class as far as there are enough. Which images are
// taken is a function of the seed, and a smaller limit takes a part of what a
// larger one takes.
func (s *Subset) Limit(n int, seed uint64) *Subset {
	if n >= s.Len() {
		return s
	}
	classes := s.byClass()
	key := rng.Mix(seed, uint64(rng.NewKey("limit")))
	// One of each class in turn, the turns in a random but fixed order.
	turns := rng.NewKeyedPermutation(len(classes), key)
	quota := make([]int, len(classes))
	for n > 0 {
		for i := 0; i < len(classes) && n > 0; i++ {
			if c := turns.At(i); quota[c] < len(classes[c]) {
				quota[c]++
				n--
			}
		}
	}
	taken, _ := s.choose(classes, quota, key)
	return taken
}

// First returns the first n images, or all if there are fewer.
func (s *Subset) First(n int) *Subset {
	first := Some(s.Source, make([]uint32, 0, min(n, s.n)))
	for i := range min(n, s.n) {
		first.index = append(first.index, uint32(s.At(i)))
	}
	first.n = len(first.index)
	return first
}

// byClass returns the positions of each class's images, in order. All cores
// help: sets may have a hundred million images.
func (s *Subset) byClass() [][]uint32 {
	k := len(s.Source.Classes())
	workers := min(runtime.GOMAXPROCS(0), s.n/(1<<16)+1)
	// Each worker counts a run of images, which says where it may write.
	counts := make([][]int, workers)
	each := func(do func(worker, from, to int)) {
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() { do(w, s.n*w/workers, s.n*(w+1)/workers) })
		}
		wg.Wait()
	}
	each(func(w, from, to int) {
		n := make([]int, k)
		for i := from; i < to; i++ {
			n[s.Label(i)]++
		}
		counts[w] = n
	})
	classes, all := make([][]uint32, k), make([]uint32, s.n)
	for c := range classes {
		at := 0
		for w := range workers {
			at, counts[w][c] = at+counts[w][c], at
		}
		classes[c], all = all[:at:at], all[at:]
	}
	each(func(w, from, to int) {
		next := counts[w]
		for i := from; i < to; i++ {
			c := s.Label(i)
			classes[c][next[c]] = uint32(i)
			next[c]++
		}
	})
	return classes
}

// choose takes quota[c] random positions of each class c.
func (s *Subset) choose(classes [][]uint32, quota []int, key uint64) (taken, rest *Subset) {
	chosen := make([]bool, s.n)
	n := 0
	for c, members := range classes {
		p := rng.NewKeyedPermutation(len(members), rng.Mix(key, uint64(c)))
		for i := range quota[c] {
			chosen[members[p.At(i)]] = true
		}
		n += quota[c]
	}
	taken, rest = Some(s.Source, make([]uint32, n)), Some(s.Source, make([]uint32, s.n-n))
	t, r := 0, 0
	for i, yes := range chosen {
		if yes {
			taken.index[t] = uint32(s.At(i))
			t++
		} else {
			rest.index[r] = uint32(s.At(i))
			r++
		}
	}
	return taken, rest
}

package data

import (
	"math"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
)

func labelled(t *testing.T, counts ...int) *Subset {
	t.Helper()
	var labels []int
	classes := make([]string, len(counts))
	for c, n := range counts {
		for range n {
			labels = append(labels, c)
		}
	}
	m, err := NewMemory(pixel.Size{W: 1, H: 1, C: 1}, classes, make([]uint8, len(labels)), labels)
	if err != nil {
		t.Fatal(err)
	}
	return Whole(m)
}

func perClass(s *Subset) []int {
	n := make([]int, len(s.Source.Classes()))
	for i := range s.Len() {
		n[s.Label(i)]++
	}
	return n
}

func TestSplit(t *testing.T) {
	set := labelled(t, 100, 50, 7, 0, 43)
	for _, n := range []int{0, 1, 20, 33, 199, 200} {
		taken, rest := set.Split(n, 5)
		if taken.Len() != n || rest.Len() != 200-n {
			t.Fatalf("%d: %d and %d", n, taken.Len(), rest.Len())
		}
		both := slices.Concat(listed(taken), listed(rest))
		slices.Sort(both)
		if !slices.Equal(both, listed(set)) {
			t.Errorf("%d: not a partition", n)
		}
		if !slices.IsSorted(listed(taken)) || !slices.IsSorted(listed(rest)) {
			t.Errorf("%d: not in order", n)
		}
		for c, got := range perClass(taken) {
			share := float64(n) * float64([]int{100, 50, 7, 0, 43}[c]) / 200
			if math.Abs(float64(got)-share) >= 1 {
				t.Errorf("%d: class %d gives %d, its share is %v", n, c, got, share)
			}
		}
	}
	a, _ := set.Split(20, 5)
	b, _ := set.Split(20, 5)
	c, _ := set.Split(20, 6)
	if !slices.Equal(listed(a), listed(b)) || slices.Equal(listed(a), listed(c)) {
		t.Error("the split is not a function of the seed")
	}
}

func TestLimit(t *testing.T) {
	set := labelled(t, 100, 50, 7, 0, 43)
	for n, want := range map[int][]int{
		0: {0, 0, 0, 0, 0}, 4: {1, 1, 1, 0, 1}, 28: {7, 7, 7, 0, 7}, 37: {10, 10, 7, 0, 10},
		136: {43, 43, 7, 0, 43}, 200: {100, 50, 7, 0, 43}, 1000: {100, 50, 7, 0, 43},
	} {
		s := set.Limit(n, 3)
		if got := perClass(s); !slices.Equal(got, want) {
			t.Errorf("limit %d: %v per class, want %v", n, got, want)
		}
	}
	small, large := set.Limit(10, 3), set.Limit(60, 3)
	for _, i := range listed(small) {
		if !slices.Contains(listed(large), i) {
			t.Errorf("image %d is in a limit of 10 but not of 60", i)
		}
	}
	if slices.Equal(listed(set.Limit(10, 3)), listed(set.Limit(10, 4))) {
		t.Error("the limit does not depend on the seed")
	}
}

// listed lists a subset's images.
func listed(s *Subset) []int { return slices.Collect(s.All()) }

// A set so large that several cores index it.
func TestByClassOfALargeSet(t *testing.T) {
	const n = 300_001
	labels := make([]int, n)
	want := make([][]uint32, 5)
	for i := range labels {
		labels[i] = i * 7919 % 13 % 5
		if labels[i] == 3 {
			labels[i] = 4 // a class without images
		}
		want[labels[i]] = append(want[labels[i]], uint32(i))
	}
	m, err := NewMemory(pixel.Size{W: 1, H: 1, C: 1}, []string{"a", "b", "c", "d", "e"}, make([]uint8, n), labels)
	if err != nil {
		t.Fatal(err)
	}
	for c, got := range Whole(m).byClass() {
		if !slices.Equal(got, want[c]) {
			t.Errorf("class %d: %d images, want %d, or in another order", c, len(got), len(want[c]))
		}
	}
}

// Folds part the images, each class evenly, the same way for the same seed.
func TestFolds(t *testing.T) {
	set := Whole(images(t, rgb, 101))
	whole := set.Counts()
	folds := set.Folds(4, 7)
	seen := map[int]int{}
	for k, f := range folds {
		if f.Len() < 25 || f.Len() > 26 {
			t.Errorf("fold %d has %d images", k, f.Len())
		}
		for c, n := range f.Counts() {
			if share := float64(whole[c]) / 4; float64(n) < share-2 || float64(n) > share+2 {
				t.Errorf("fold %d has %d images of class %d, of %d", k, n, c, whole[c])
			}
		}
		for i := range f.All() {
			seen[i]++
		}
		rest := set.Without(f)
		if rest.Len()+f.Len() != 101 || rest.Without(f).Len() != rest.Len() {
			t.Errorf("without fold %d there are %d images", k, rest.Len())
		}
	}
	if len(seen) != 101 {
		t.Errorf("%d different images in the folds", len(seen))
	}
	if again := set.Folds(4, 7); !slices.Equal(listed(again[2]), listed(folds[2])) {
		t.Error("the same seed gives other folds")
	}
	if other := set.Folds(4, 8); slices.Equal(listed(other[2]), listed(folds[2])) {
		t.Error("another seed gives the same folds")
	}
}

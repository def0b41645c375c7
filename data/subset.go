package data

import "iter"

// Subset is some of the images of a source, in a fixed order. All images of a
// source take no memory, others four bytes each.
type Subset struct {
	Source Source
	n      int
	index  []uint32 // nil for all
}

// Whole returns the subset of all images of a source.
func Whole(s Source) *Subset { return &Subset{Source: s, n: s.Len()} }

// Some returns the subset of the images that have the given numbers in a
// source. It keeps the slice.
func Some(s Source, index []uint32) *Subset { return &Subset{s, len(index), index} }

// Len returns the number of images.
func (s *Subset) Len() int { return s.n }

// At returns the number in Source of the subset's image i. It also names the
// image's random stream, so an image is augmented alike in any subset.
func (s *Subset) At(i int) int {
	if s.index == nil {
		return i
	}
	return int(s.index[i])
}

// All goes through the numbers of the images in Source.
func (s *Subset) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range s.n {
			if !yield(s.At(i)) {
				return
			}
		}
	}
}

// Label returns the label of the subset's image i.
func (s *Subset) Label(i int) int { return s.Source.Label(s.At(i)) }

// Counts returns how many images of each class the subset has.
func (s *Subset) Counts() []int {
	// A source may have counted already.
	if c, ok := s.Source.(interface{ Counts() []int }); ok && s.index == nil {
		return c.Counts()
	}
	counts := make([]int, len(s.Source.Classes()))
	for i := range s.n {
		counts[s.Label(i)]++
	}
	return counts
}

// Package target shapes the training targets, which are always a soft matrix:
// N×K float32, one row per image. Smoothing, mixing and distillation then
// compose by construction.
//
// Rows sum to one, unless classes are weighted: the loss −Σ t·log p of a row
// that sums to w is w times that of the row scaled to one, and so is its
// gradient (the training graph's cross-entropy multiplies the softmax by the
// row's sum).
package target

import (
	"fmt"

	"github.com/ortrain/ortrain/tricks"
)

// OneHot fills dst, len(labels)×k, with 1 at each row's label and 0
// elsewhere. It panics if the lengths do not fit or a label is outside [0, k).
func OneHot(dst []float32, labels []int, k int) {
	if len(dst) != len(labels)*k {
		panic(fmt.Sprintf("target: %d values for %d labels of %d classes", len(dst), len(labels), k))
	}
	clear(dst)
	for i, label := range labels {
		if label < 0 || label >= k {
			panic(fmt.Sprintf("target: label %d of %d classes", label, k))
		}
		dst[i*k+label] = 1
	}
}

// Shaper changes soft targets in place: rows of k values that sum to one, and
// do so afterwards; only class weights, the last of a chain, give rows other
// sums. It is immutable and safe for concurrent use.
type Shaper interface {
	Shape(rows []float32, k int)
}

// Chain applies shapers in order. The empty chain leaves targets alone.
type Chain []Shaper

// Shape implements Shaper.
func (c Chain) Shape(rows []float32, k int) {
	for _, s := range c {
		s.Shape(rows, k)
	}
}

// Options are the settings of one shaper as a recipe gives them: a pointer to
// a struct with yaml tags. Errors are about a key of the struct
// (strict.Errorf).
type Options interface {
	// Validate checks the values on their own.
	Validate() error
	// Build returns the shaper for a data set. The options are valid.
	Build(Info) (Shaper, error)
	// Order says where in a chain the shaper stands: smaller comes first.
	Order() int
}

// Info is what a shaper may depend on.
type Info struct {
	// Classes is the number of classes, K.
	Classes int
	// Counts are the training images of each class; nil if they are not known.
	Counts []int
}

// The places of the kinds of shapers in a chain.
const (
	Smoothing = iota // the row still sums to one
	Weighting        // it may no longer
)

// Shapers is the registry of this package; a shaper's file adds to it in its
// init function.
var Shapers = tricks.NewRegistry[Options](tricks.Target)

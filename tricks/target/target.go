// Package target shapes the training targets, which are always a soft matrix:
// N×K float32, one row per image, rows summing to one. Smoothing, mixing and
// distillation then compose by construction.
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
// do so afterwards. It is immutable and safe for concurrent use.
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
	// Build returns the shaper for k classes. The options are valid.
	Build(k int) (Shaper, error)
}

// Shapers is the registry of this package; a shaper's file adds to it in its
// init function.
var Shapers = tricks.NewRegistry[Options](tricks.Target)

// Package sampling chooses which images an epoch shows. Without it an epoch
// goes through all images once, shuffled.
//
// What an epoch shows at a position is a function of the seed, the epoch and
// the position alone, computed when asked for: an epoch can be entered
// anywhere, by any number of workers or machines, and no list of its images
// is ever made.
package sampling

import (
	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
)

// Order is one epoch.
type Order interface {
	// At returns the number of the image at a position, both from 0 to the
	// number of images.
	At(position int) int
}

// Sampling makes epochs. It is immutable and safe for concurrent use.
type Sampling interface {
	// Epoch returns the order of an epoch of a run, as long as the set has
	// images.
	Epoch(seed uint64, epoch int) Order
}

// Info is what a sampling may depend on.
type Info struct {
	// Len is the number of images, Classes that of classes.
	Len, Classes int
	// Label returns an image's class.
	Label func(i int) int
}

// Options are the settings of one sampling as a recipe gives them: a pointer
// to a struct with yaml tags. Errors are about a key of the struct
// (strict.Errorf).
type Options interface {
	// Validate checks the values on their own.
	Validate() error
	// Build returns the sampling of a set. The options are valid.
	Build(Info) (Sampling, error)
}

// Samplings is the registry of this package.
var Samplings = tricks.NewRegistry[Options](tricks.Sampling)

// Shuffle goes through n images once an epoch.
type Shuffle int

// Epoch implements Sampling.
func (n Shuffle) Epoch(seed uint64, epoch int) Order {
	p := rng.NewPermutation(int(n), seed, epoch)
	return &p
}

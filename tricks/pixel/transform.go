package pixel

import (
	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
)

// Transform is a trick on one image. A transform is immutable and shared by
// all workers; it implements either Pixels or Planes as well.
type Transform interface {
	// Size returns the size of the output for an input of the given size.
	Size(in Size) Size
	// Sample draws the parameters for one image.
	Sample(r *rng.Stream, in Size) Params
}

// Pixels is a transform of 8-bit pixels.
type Pixels interface {
	Transform
	// Apply writes the transformed src to dst, which already has the output's
	// size, whose pixels are undefined, and which shares no memory with src.
	Apply(dst, src *Image, p *Params)
}

// Planes is a transform of normalised pixels, where 0 is the mean of the
// data. It does not change the size. In a chain all Planes come after all
// Pixels.
type Planes interface {
	Transform
	// ApplyPlanes changes x, C planes of H rows of W values, in place.
	ApplyPlanes(x []float32, size Size, p *Params)
}

// Params are the draws of one transform for one image. What the slots mean is
// the transform's business; the fixed size keeps drawing free of allocations.
type Params struct {
	// Skip leaves the image as it is; Apply is not called. The transform must
	// not change the size.
	Skip  bool
	Int   [16]int
	Float [8]float64
	// Seed feeds transforms that need more randomness than there are slots.
	Seed uint64

	scratch *scratch // lent by the worker, or made when first asked for
}

// Info is what a transform may depend on.
type Info struct {
	// In is the size of the images that reach the transform. Where images
	// vary it is the size that a chain's first transform gives them unless it
	// says otherwise.
	In Size
	// Vary tells that the chain's images are of various sizes.
	Vary bool
	// Mean and Std are the data's per channel, of pixels scaled to [0, 1].
	Mean, Std []float64
}

// Options are the settings of one transform as a recipe gives them: a pointer
// to a struct with yaml tags. Errors are about a key of the struct
// (strict.Errorf).
type Options interface {
	// Validate checks the values on their own.
	Validate() error
	// Build returns the transform, which implements Pixels or Planes, for
	// images of a data set. The options are valid.
	Build(Info) (Transform, error)
}

// Measurer are options that may need to be told about the training images
// before Build, once for a run.
type Measurer interface {
	Options
	// Unmeasured reports whether Measure is still to be called.
	Unmeasured() bool
	// Measure looks at n images, which read gives one by one, and keeps what it
	// found in the options, for the record of the run.
	Measure(n int, read func(i int, m *Image) error) error
}

// Transforms is the registry of this package; a transform's file adds to it
// in its init function.
var Transforms = tricks.NewRegistry[Options](tricks.Pixel)

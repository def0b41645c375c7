package recipe

import (
	"github.com/ortrain/ortrain/tricks/batch"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/strict"
)

// The forms in which training images reach the step; see Data.Images.
const (
	FloatImages = "float32"
	ByteImages  = "uint8"
	AutoImages  = "auto"
)

// ByteImages reports whether training images reach the step as 8-bit values,
// given what BuildAugment and BuildMix returned. It fails where the recipe asks
// for them and a trick needs normalised images.
func (r *Recipe) ByteImages(chain *pixel.Chain, mix *batch.Switch) (bool, error) {
	key, name := "augment", chain.NeedsFloats()
	if name == "" && mix != nil {
		key, name = "mix", mix.NeedsFloats()
	}
	switch {
	case r.Data.Images == ByteImages && name != "":
		err := strict.Errorf("data.images", "%s leaves the normalisation to the step, but %s (%s) works on normalised images; remove one of the two", ByteImages, name, key)
		return false, strict.Locate(err, r.file, r.lines)
	}
	return r.ByteEvaluation() && name == "", nil
}

// ByteEvaluation reports whether the images of an evaluation, which no trick
// changes, reach the network as 8-bit values.
func (r *Recipe) ByteEvaluation() bool {
	return r.Data.Images == ByteImages || r.Data.Images != FloatImages && r.Provider != "cpu"
}

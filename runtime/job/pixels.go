package job

import (
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// pixels says how the step normalises the images of a resolved recipe, of the
// given size; nil where the loader does.
func pixels(r *recipe.Recipe, size pixel.Size) (*artifact.Pixels, error) {
	chain, err := r.BuildAugment(size)
	if err != nil {
		return nil, err
	}
	mix, err := r.BuildMix()
	if err != nil {
		return nil, err
	}
	bytes, err := r.ByteImages(chain, mix)
	if !bytes || err != nil {
		return nil, err
	}
	scale, shift := chain.Normaliser().Affine()
	return &artifact.Pixels{Scale: scale, Shift: shift}, nil
}

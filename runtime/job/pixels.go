package job

import (
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
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
	return normalisation(chain), nil
}

// evaluationPixels is pixels for the images of an evaluation.
func evaluationPixels(r *recipe.Recipe, size pixel.Size) (*artifact.Pixels, error) {
	if !r.ByteEvaluation() {
		return nil, nil
	}
	chain, err := r.BuildNormalise(size)
	if err != nil {
		return nil, err
	}
	return normalisation(chain), nil
}

// normalisation says how a graph normalises what a chain leaves to it.
func normalisation(chain *pixel.Chain) *artifact.Pixels {
	scale, shift := chain.Normaliser().Affine()
	return &artifact.Pixels{Scale: scale, Shift: shift}
}

// openEvaluator loads the run's evaluation. Where it is also the teacher of the
// step, it takes the step's images.
func (t *run) openEvaluator(dir string) (err error) {
	p := t.spec.Pixels
	if !t.recipe.Teacher.Self {
		if p, err = evaluationPixels(t.recipe, t.held.Source.Size()); err != nil {
			return err
		}
	}
	t.evaluator, err = runtime.NewByteEvaluator(dir, p, sessions(t.recipe))
	return err
}

package data

import (
	"context"

	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/sampling"
	"github.com/ortrain/ortrain/tricks/target"
)

// NewTrainLoader starts the loader of a run: the recipe's sampling,
// augmentation, mixing, targets, batch size, seed and epochs over a data set's
// training images, from a position on. The recipe must be resolved.
func NewTrainLoader(ctx context.Context, d *Dataset, r *recipe.Recipe, start Position) (*Loader, error) {
	opt, err := trainingOptions(d, r)
	if err != nil {
		return nil, err
	}
	opt.Start = start
	return NewLoader(ctx, d.Train, opt)
}

// CheckTraining reports what NewTrainLoader would object to in a resolved
// recipe, before anything is written.
func CheckTraining(d *Dataset, r *recipe.Recipe) error {
	_, err := trainingOptions(d, r)
	return err
}

func trainingOptions(d *Dataset, r *recipe.Recipe) (LoaderOptions, error) {
	opt := LoaderOptions{
		Batch: r.Batch, Train: true, Epochs: r.Epochs, Repeats: r.Data.Repeats, Seed: r.Seed, Workers: r.Data.Workers,
		SkipBroken: max(0, r.Data.SkipBroken-len(d.Problems)),
	}
	var err error
	if opt.Chain, err = r.BuildAugment(d.Size); err != nil {
		return opt, err
	}
	if opt.Target, err = r.BuildTarget(target.Info{Classes: len(d.Classes), Counts: d.Train.Counts()}); err != nil {
		return opt, err
	}
	if opt.Mix, err = r.BuildMix(); err != nil {
		return opt, err
	}
	if opt.Bytes, err = r.ByteImages(opt.Chain, opt.Mix); err != nil {
		return opt, err
	}
	opt.Sampling, err = r.BuildSampling(sampling.Info{Len: d.Train.Len(), Classes: len(d.Classes), Label: d.Train.Label})
	return opt, err
}

// NewEvalLoader starts a loader that goes once through a subset in order,
// with the recipe's preparation for evaluation and nothing else; bytes leaves the
// images as 8-bit values for the model to normalise. The recipe must be resolved.
func NewEvalLoader(ctx context.Context, s *Subset, r *recipe.Recipe, batch int, bytes bool) (*Loader, error) {
	chain, err := r.BuildNormalise(s.Source.Size())
	if err != nil {
		return nil, err
	}
	return NewLoader(ctx, s, LoaderOptions{
		Batch: batch, Chain: chain, Bytes: bytes, Seed: r.Seed, Workers: r.Data.Workers,
		SkipBroken: r.Data.SkipBroken,
	})
}

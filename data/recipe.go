package data

import (
	"context"

	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/target"
)

// NewTrainLoader starts the loader of a run: the recipe's augmentation,
// mixing, targets, batch size, seed and epochs over a data set's training images,
// from a position on. The recipe must be resolved.
func NewTrainLoader(ctx context.Context, d *Dataset, r *recipe.Recipe, start Position) (*Loader, error) {
	chain, err := r.BuildAugment(d.Size)
	if err != nil {
		return nil, err
	}
	shaper, err := r.BuildTarget(target.Info{Classes: len(d.Classes), Counts: d.Train.Counts()})
	if err != nil {
		return nil, err
	}
	mix, err := r.BuildMix()
	if err != nil {
		return nil, err
	}
	return NewLoader(ctx, d.Train, LoaderOptions{
		Batch: r.Batch, Train: true, Epochs: r.Epochs, Start: start,
		Chain: chain, Mix: mix, Target: shaper, Repeats: r.Data.Repeats, Seed: r.Seed, Workers: r.Data.Workers,
		SkipBroken: max(0, r.Data.SkipBroken-len(d.Problems)),
	})
}

// NewEvalLoader starts a loader that goes once through a subset in order,
// with the recipe's preparation for evaluation and nothing else. The recipe
// must be resolved.
func NewEvalLoader(ctx context.Context, s *Subset, r *recipe.Recipe, batch int) (*Loader, error) {
	chain, err := r.BuildNormalise(s.Source.Size())
	if err != nil {
		return nil, err
	}
	return NewLoader(ctx, s, LoaderOptions{
		Batch: batch, Chain: chain, Seed: r.Seed, Workers: r.Data.Workers,
		SkipBroken: r.Data.SkipBroken,
	})
}

package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/runlock"
	"github.com/ortrain/ortrain/tricks/network"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/strict"
)

// lowering chooses the forms of a resolved recipe's step for the machine that
// the open library runs on.
func lowering(r *recipe.Recipe) lower.Options {
	o := lower.Options{Provider: r.Provider, Threads: threads(r.Threads), Kernels: haveKernels(r.Provider)}
	if r.Provider != lower.CUDA {
		o.Block = runtime.ChannelBlock()
	}
	o.Choices = choices(r)
	return o
}

// openData opens the data set of a resolved recipe and completes the recipe by
// what it takes from the training images. Listing and measuring millions of
// files takes long: it does not wait for that once ctx is done, and what is being
// read then ends unheeded.
func openData(ctx context.Context, r *recipe.Recipe) (*data.Dataset, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	type outcome struct {
		d   *data.Dataset
		err error
	}
	opened := make(chan outcome, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				opened <- outcome{nil, fmt.Errorf("internal error while reading the data: %v; please report it", p)}
			}
		}()
		d, err := data.Open(data.FromRecipe(r))
		if err == nil {
			err = data.Measure(d, r)
		}
		opened <- outcome{d, err}
	}()
	select {
	case o := <-opened:
		return o.d, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("stopped while reading the data: %w", context.Cause(ctx))
	}
}

// checkNames reports an unknown model, optimizer or provider as a mistake of
// the recipe's key, and completes the optimizer's options.
func checkNames(r *recipe.Recipe) error {
	if err := checkModel(r); err != nil {
		return err
	}
	if err := checkOptimizer(r); err != nil {
		return err
	}
	if err := runtime.CheckProvider(r.Provider); err != nil {
		return strict.Within("provider", err)
	}
	if name := r.Teacher.Provider; name != "" {
		if err := runtime.CheckProvider(name); err != nil {
			return strict.Within("teacher.provider", err)
		}
	}
	return nil
}

// stepsPerEpoch returns the number of optimizer steps of an epoch, whose last
// incomplete batch is dropped.
func stepsPerEpoch(r *recipe.Recipe, d *data.Dataset) (int, error) {
	n := d.Train.Len() / r.Batch
	if n == 0 {
		return 0, fmt.Errorf("batch %d is larger than the %d training images; lower batch or raise limit", r.Batch, d.Train.Len())
	}
	return n, nil
}

// Spec returns what the artifacts of a resolved recipe are built from, for a
// data set and for the machine that the open library runs on.
func Spec(r *recipe.Recipe, d *data.Dataset) artifact.Spec {
	options, _, err := settings(r)
	if err != nil {
		options = r.Optimizer.Options // building the artifacts reports them
	}
	bytes, err := pixels(r, d.Size)
	if err != nil {
		bytes = nil // the loader, which makes them, reports it
	}
	o := lowering(r)
	o.Metadata = modelInfo(r, d).Metadata()
	return artifact.Spec{
		Model: r.Model.Name,
		Config: models.Config{
			Classes: len(d.Classes), Input: [3]int{d.Size.C, d.Size.H, d.Size.W}, Options: r.Model.Options},
		Optimizer: r.Optimizer.Name, OptimizerOptions: options, Gradient: transforms(r),
		ExcludeNormAndBias: !r.Optimizer.DecayNormAndBias,
		Batch:              r.Batch / r.Parts(), Loss: r.Loss, Focal: focal(r), Distillation: softTerm(r),
		Accumulate: r.Parts() > 1, Seed: r.Seed,
		Pixels: bytes, Precision: mixed(r),
		Loop: r.StepsPerRun > 1, Average: averages(r),
		Guard:    r.StepsPerRun > 1 && r.NonFinite.Policy == recipe.SkipStep,
		Lowering: o,
	}
}

// averages tells whether the step of a resolved recipe moves the average of the
// weights: it does where nobody can do it in between.
func averages(r *recipe.Recipe) bool {
	a, err := r.BuildAverage()
	return err == nil && a != nil && a.EveryStep() && r.StepsPerRun > 1
}

// focal returns the parameters of a resolved recipe's focal loss.
func focal(r *recipe.Recipe) artifact.Focal {
	f := artifact.Focal{Alpha: network.NoAlpha}
	if r.Focal.Gamma != nil {
		f.Gamma = *r.Focal.Gamma
	}
	if r.Focal.Alpha != nil {
		f.Alpha = *r.Focal.Alpha
	}
	return f
}

// haveKernels reports whether a provider's kernel library can be used here.
func haveKernels(provider string) bool {
	_, err := runtime.FindKernels(provider)
	return err == nil && (provider == lower.CUDA || runtime.ChannelBlock() != 0)
}

func threads(n int) int {
	if n > 0 {
		return n
	}
	return runtime.DefaultThreads()
}

// modelInfo is what an exported model says about its input and its classes.
func modelInfo(r *recipe.Recipe, d *data.Dataset) runtime.ModelInfo {
	info := runtime.ModelInfo{ClassNames: d.Classes, InputSize: [3]int{d.Size.C, d.Size.H, d.Size.W}, Resize: r.Data.Resize}
	for _, v := range r.Data.Mean {
		info.Mean = append(info.Mean, float32(v))
	}
	for _, v := range r.Data.Std {
		info.Std = append(info.Std, float32(v))
	}
	return info
}

// checkOut refuses a run folder that would be overwritten, or that cannot be
// one. It creates nothing. A run that may resume takes a folder as it is; only
// one that must needs it to be there.
func checkOut(dir string, must, may bool) error {
	if dir == "" {
		return errors.New("no output folder given")
	}
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if must {
			return fmt.Errorf("cannot resume: there is no run at %s", dir)
		}
		return nil
	case err != nil:
		return fmt.Errorf("output folder: %w", err)
	case !st.IsDir():
		return fmt.Errorf("output folder %s is a file; give a folder", dir)
	}
	if must || may {
		return nil
	}
	for _, name := range []string{RecipeFile, CheckpointFile, ArtifactsDir, MetricsFile, ModelFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			if err := runlock.Check(dir); err != nil {
				return err
			}
			if !exists(filepath.Join(dir, CheckpointFile)) && !exists(GenerationDir(dir, 1)) {
				return fmt.Errorf("%s holds a run without a checkpoint (%s); begin it anew with --resume auto, or give another folder", dir, name)
			}
			return fmt.Errorf("%s holds a run already (%s); continue it with --resume, or give another folder", dir, name)
		}
	}
	return nil
}

package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// lent lends a loader's batches one after the other.
func lent(ctx context.Context, loader *data.Loader) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		for {
			b, err := loader.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			ok := yield(b, nil)
			b.Release()
			if !ok {
				return
			}
		}
	}
}

// batches lends a loader's batches for scoring, calling progress with the
// number of images handed out.
func batches(ctx context.Context, loader *data.Loader, progress func(done int)) iter.Seq2[runtime.Batch, error] {
	return func(yield func(runtime.Batch, error) bool) {
		done := 0
		for b, err := range lent(ctx, loader) {
			if err != nil {
				yield(runtime.Batch{}, err)
				return
			}
			n := b.Count
			if !yield(images(b), nil) {
				return
			}
			if done += n; progress != nil {
				progress(done)
			}
		}
	}
}

// images are a loader's batch as an evaluator takes it.
func images(b *data.Batch) runtime.Batch {
	return runtime.Batch{Images: b.Images, Bytes: b.Bytes, Labels: b.Labels}
}

// Evaluate scores a run or a classifier file on test images.
func Evaluate(ctx context.Context, c EvalConfig) (EvalResult, error) {
	if c.Checkpoint != "" && c.Run == "" {
		return EvalResult{}, errors.New("a checkpoint is one of a run: give the run folder as well")
	}
	given := 0
	for _, source := range []string{c.Run, c.ONNX, c.Weights.File} {
		if source != "" {
			given++
		}
	}
	if given != 1 {
		return EvalResult{}, errors.New("evaluate either a run folder, an ONNX file or a file of weights")
	}
	r := recipe.Default()
	if c.Run != "" {
		var err error
		c.Run = lastGeneration(c.Run)
		if err = checkRun(c.Run); err != nil {
			return EvalResult{}, err
		}
		if r, err = recipe.Load(filepath.Join(c.Run, RecipeFile)); err != nil {
			return EvalResult{}, err
		}
	}
	overlay(&r.Data, c.Data)
	c.Execution.take(r)
	opts, err := c.Execution.open()
	if err != nil {
		return EvalResult{}, err
	}

	var score func(batches iter.Seq2[runtime.Batch, error]) (runtime.Score, error)
	var state *artifact.State
	var input [3]int
	var classes, resize int
	name := cmp.Or(c.ONNX, c.Weights.File)
	if c.Run != "" {
		dir := filepath.Join(c.Run, ArtifactsDir)
		m, err := artifact.Read(dir)
		if err != nil {
			return EvalResult{}, err
		}
		if state, err = savedWeights(c.Run, c.Checkpoint, m); err != nil {
			return EvalResult{}, err
		}
		input, classes, name = m.Model.Input, m.Model.Classes, c.Run
	} else {
		k, err := c.classifier(r, opts)
		if err != nil {
			return EvalResult{}, err
		}
		defer k.Close()
		if info := k.Info(); info.Mean != nil && c.Data.Mean == nil {
			r.Data.Mean, r.Data.Std = widen(info.Mean), widen(info.Std)
		}
		resize = k.Info().Resize
		score, input, classes = k.Evaluate, k.Image(), k.Classes()
	}
	r.Epochs = max(r.Epochs, 1)
	if set, err := data.Lookup(r.Data.Name); err == nil && set.Varying() {
		r.Data.Size = cmp.Or(r.Data.Size, input[1])
		r.Data.Resize = cmp.Or(r.Data.Resize, resize)
	}
	if r, err = r.Resolve(); err != nil {
		return EvalResult{}, err
	}
	test, err := data.OpenTest(data.FromRecipe(r))
	if err != nil {
		return EvalResult{}, err
	}
	if c.Limit > 0 {
		test = test.Limit(c.Limit, r.Seed)
	}
	if size := test.Source.Size(); input != [3]int{size.C, size.H, size.W} || classes != len(test.Source.Classes()) {
		return EvalResult{}, fmt.Errorf("%s takes %d×%d×%d images of %d classes; %s has %d×%d×%d images of %d classes",
			name, input[0], input[1], input[2], classes, r.Data.Name, size.C, size.H, size.W, len(test.Source.Classes()))
	}
	bytes := false
	if c.Run != "" {
		e, err := c.evaluator(r, test.Source.Size(), opts)
		if err != nil {
			return EvalResult{}, err
		}
		defer e.Close()
		bytes = e.TakesBytes()
		score = func(b iter.Seq2[runtime.Batch, error]) (runtime.Score, error) { return e.Evaluate(state, b) }
	}
	batch := c.Batch
	if batch < 1 {
		batch = evalBatch
	}
	loader, err := data.NewEvalLoader(ctx, test, r, batch, bytes)
	if err != nil {
		return EvalResult{}, err
	}
	defer loader.Close()
	if c.Note != nil {
		loader.OnBroken(func(err error) { c.Note(leftOut(err)) })
	}
	begun := time.Now()
	s, err := score(batches(ctx, loader, func(done int) {
		if c.Progress != nil {
			c.Progress(done, test.Len())
		}
	}))
	if err != nil {
		return EvalResult{}, fmt.Errorf("%s: %w", name, err)
	}
	n := float64(s.Samples)
	return EvalResult{
		Model: name, Dataset: r.Data.Name, Images: int(s.Samples),
		Top1: s.Accuracy(), Top5: float64(s.Top5) / n, Loss: s.MeanLoss(), Seconds: time.Since(begun).Seconds(),
	}, nil
}

// evaluator opens the run's evaluation, which normalises images by the resolved
// recipe where that leaves it to the network.
func (c EvalConfig) evaluator(r *recipe.Recipe, size pixel.Size, opts runtime.Options) (*runtime.Evaluator, error) {
	p, err := evaluationPixels(r, size)
	if err != nil {
		return nil, err
	}
	return runtime.NewByteEvaluator(filepath.Join(c.Run, ArtifactsDir), p, opts)
}

// classifier opens the model file, or makes a model of the weights for images of
// the data's size.
func (c EvalConfig) classifier(r *recipe.Recipe, opts runtime.Options) (*runtime.Classifier, error) {
	if c.ONNX != "" {
		return runtime.NewClassifier(c.ONNX, opts)
	}
	resolved, err := r.Resolve()
	if err != nil {
		return nil, err
	}
	test, err := data.OpenTest(data.FromRecipe(resolved))
	if err != nil {
		return nil, err
	}
	size := test.Source.Size()
	w := c.Weights
	w.Input = [3]int{size.C, size.H, size.W}
	b, err := w.model()
	if err != nil {
		return nil, err
	}
	return runtime.NewClassifierFromBytes(w.File, b, runtime.ModelInfo{}, opts)
}

// checkRun reports a folder that is not a run's.
func checkRun(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, RecipeFile)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no run at %s (no %s in it); give the folder that train wrote with --out", dir, RecipeFile)
	}
	return nil
}

// savedWeights returns the weights to use of a run's checkpoint (see
// chosenCheckpoint): those that were trained, or the average or the best ones
// where the recipe asks for them.
func savedWeights(run, checkpoint string, m *artifact.Manifest) (*artifact.State, error) {
	c, p, err := readSaved(run, checkpoint, m)
	if err != nil {
		return nil, err
	}
	return usefulWeights(c, p), nil
}

func readSaved(run, checkpoint string, m *artifact.Manifest) (*runtime.Checkpoint, position, error) {
	path, err := chosenCheckpoint(run, checkpoint)
	if err != nil {
		return nil, position{}, err
	}
	c, err := runtime.ReadCheckpoint(path, m)
	if err != nil {
		return nil, position{}, err
	}
	p, err := readPosition(c)
	if err != nil {
		return nil, p, fmt.Errorf("%s: %w", path, err)
	}
	return c, p, nil
}

// overlay replaces what is set in over.
func overlay(d *recipe.Data, over recipe.Data) {
	if over.Name != "" && over.Name != d.Name {
		// Another data set brings its own files and normalisation.
		*d = recipe.Data{Name: over.Name, Workers: d.Workers, Images: d.Images}
	}
	if over.Dir != "" {
		d.Dir = over.Dir
	}
	if over.Size != 0 {
		d.Size = over.Size
	}
	if over.Resize != 0 {
		d.Resize = over.Resize
	}
	if over.TrainFiles != nil {
		d.TrainFiles = over.TrainFiles
	}
	if over.TestFiles != nil {
		d.TestFiles = over.TestFiles
	}
	if over.Mean != nil {
		d.Mean = over.Mean
	}
	if over.Std != nil {
		d.Std = over.Std
	}
	if over.Workers != 0 {
		d.Workers = over.Workers
	}
}

func widen(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

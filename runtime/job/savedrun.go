package job

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"slices"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// savedRun is a run folder that has been opened to use its weights.
type savedRun struct {
	dir string
	// recipe is the run's, resolved, with the caller's own data places; hash
	// is that of the recipe as it was trained.
	recipe   *recipe.Recipe
	hash     string
	manifest *artifact.Manifest
	state    *artifact.State
	info     runtime.ModelInfo
	// epochs are the rows of its history; none if there is no history.
	epochs []metrics.Epoch
}

// openRun reads a run's recipe, artifacts and weights: the newest, or those of a
// checkpoint (see chosenCheckpoint). Its models are to run as e says, whatever
// the recipe does.
func openRun(dir, checkpoint string, over recipe.Data, e Execution) (*savedRun, error) {
	if dir == "" {
		return nil, errors.New("no run folder given")
	}
	dir = lastGeneration(dir)
	if err := checkRun(dir); err != nil {
		return nil, err
	}
	r, err := recipe.Load(filepath.Join(dir, RecipeFile))
	if err != nil {
		return nil, err
	}
	s := &savedRun{dir: dir}
	if s.hash, err = r.Hash(); err != nil {
		return nil, err
	}
	overlay(&r.Data, over)
	e.take(r)
	if s.recipe, err = r.Resolve(); err != nil {
		return nil, err
	}
	if s.manifest, err = artifact.Read(filepath.Join(dir, ArtifactsDir)); err != nil {
		return nil, err
	}
	saved, position, err := readSaved(dir, checkpoint, s.manifest)
	if err != nil {
		return nil, err
	}
	s.state = usefulWeights(saved, position)
	// The run's own inference artifact holds the metadata.
	base, err := onnx.ReadFile(filepath.Join(dir, ArtifactsDir, artifact.InferFile))
	if err != nil {
		return nil, err
	}
	if s.info, err = runtime.ParseModelInfo(metadataOf(base)); err != nil {
		return nil, err
	}
	if path := filepath.Join(dir, MetricsFile); exists(path) {
		if s.epochs, err = metrics.Read(path); err != nil {
			return nil, err
		}
	}
	if checkpoint != "" {
		s.epochs = slices.DeleteFunc(s.epochs, func(e metrics.Epoch) bool { return e.Epoch > saved.Epoch })
	}
	return s, nil
}

// metadataOf returns a model's metadata properties.
func metadataOf(m *onnx.ModelProto) map[string]string {
	meta := map[string]string{}
	for _, p := range m.GetMetadataProps() {
		meta[p.GetKey()] = p.GetValue()
	}
	return meta
}

// heldOut opens the images that the run's accuracy is measured on, and tells
// their name: the validation split if there is one, else the test set.
func (s *savedRun) heldOut() (*data.Subset, string, error) {
	if s.recipe.Data.Validation == 0 {
		test, err := data.OpenTest(data.FromRecipe(s.recipe))
		return test, "test", err
	}
	d, err := data.Open(data.FromRecipe(s.recipe))
	if err != nil {
		return nil, "", err
	}
	return d.Validation, "validation", nil
}

// batches returns a subset's images in batches of at most n, normalised and
// otherwise as they are. Every iteration starts anew.
func (s *savedRun) batches(ctx context.Context, set *data.Subset, n int, progress func(done int)) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		loader, err := data.NewEvalLoader(ctx, set, s.recipe, min(n, max(1, set.Len())), false)
		if err != nil {
			yield(nil, err)
			return
		}
		defer loader.Close()
		done := 0
		for b, err := range lent(ctx, loader) {
			if !yield(b, err) || err != nil {
				return
			}
			if done += b.Count; progress != nil {
				progress(done)
			}
		}
	}
}

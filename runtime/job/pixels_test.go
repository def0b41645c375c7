package job_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/artifact/guide"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// A run whose step normalises 8-bit images ends with the bytes of one whose
// loader does, with a teacher, with statistics measured anew, with batches in parts;
// and either resumes the other.
func TestRunsOfBytesAndOfFloatsAreOne(t *testing.T) {
	ortest.Open(t)
	set := colours(t)
	for _, settings := range [][]string{{"average=swa", "accumulate=2"}, {"average=ema", "teacher.self=true"}, {"steps_per_run=4"}, {"precision=mixed"}} {
		oneRunOfBothForms(t, set, append(settings, "mix=[{name: cutmix, p: 0.5}]", "augment=[crop, mirror, autoaugment]"))
	}
}

func oneRunOfBothForms(t *testing.T, set string, common []string) {
	t.Helper()
	floats, crossed := t.TempDir(), t.TempDir()
	train := func(ctx context.Context, form, out string, steps int) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		c := job.Config{Recipe: tinted(t, set, append(common, "data.images="+form)...), Out: out, Resume: steps == 0}
		if steps > 0 {
			c.Reporter = &stopper{steps, cancel}
		}
		_, err := job.Train(ctx, c)
		return err
	}
	if err := train(context.Background(), "float32", floats, 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := train(context.Background(), "uint8", crossed, 1); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	m, err := artifact.Read(filepath.Join(crossed, job.ArtifactsDir))
	if err != nil {
		t.Fatal(err)
	}
	if m.Pixels == nil {
		t.Error("the manifest does not say that the images are 8-bit")
	}
	if err := train(context.Background(), "uint8", crossed, 0); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{job.CheckpointFile, job.ModelFile} {
		if !bytes.Equal(read(t, floats, name), read(t, crossed, name)) {
			t.Errorf("%s differs between the forms of images", name)
		}
	}
	if a, b := evaluations(t, floats), evaluations(t, crossed); !reflect.DeepEqual(a, b) {
		t.Errorf("the evaluations of floats are %v, of bytes %v", a, b)
	}
	other := t.TempDir()
	if err := train(context.Background(), "float32", other, 3); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := train(context.Background(), "uint8", other, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, floats, job.ModelFile), read(t, other, job.ModelFile)) {
		t.Error("a run of floats that was resumed with bytes ends with another model")
	}
}

// evaluations are what a run's evaluations found, after each epoch and at last.
func evaluations(t *testing.T, run string) []float64 {
	t.Helper()
	rows, err := metrics.Read(filepath.Join(run, job.MetricsFile))
	if err != nil || len(rows) == 0 {
		t.Fatalf("%d epochs: %v", len(rows), err)
	}
	var found []float64
	for _, e := range rows {
		found = append(found, e.TestLoss, e.TestAccuracy, e.TestTop5)
	}
	score, err := job.Evaluate(context.Background(), job.EvalConfig{Run: run, Batch: 7})
	if err != nil {
		t.Fatal(err)
	}
	return append(found, score.Loss, score.Top1, score.Top5)
}

// A search that judges 8-bit images finds the policy of one that judges normalised
// ones.
func TestSearchOfBytesAndOfFloats(t *testing.T) {
	ortest.Open(t)
	set, found := colours(t), map[string]*job.SearchResult{}
	for _, form := range []string{"uint8", "float32"} {
		res, err := job.Search(context.Background(), job.SearchConfig{Recipe: tinted(t, set, "epochs=1", "augment=[crop]", "data.images="+form),
			Out: filepath.Join(t.TempDir(), "policy.yaml"), Folds: 2, Candidates: 3, Draws: 1, Images: 16})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range res.Folds {
			for i := range f.Top {
				f.Top[i].Seconds = 0
			}
		}
		for i := range res.Folds {
			res.Folds[i].Plain.Seconds = 0
		}
		found[form] = res
	}
	if a, b := found["uint8"], found["float32"]; !reflect.DeepEqual(a.Policy, b.Policy) || !reflect.DeepEqual(a.Folds, b.Folds) {
		t.Errorf("of bytes %+v, of floats %+v", a.Folds, b.Folds)
	}
}

func TestBytesAndTricksThatNeedFloats(t *testing.T) {
	ortest.Open(t)
	set, out := colours(t), filepath.Join(t.TempDir(), "run")
	_, err := job.Train(context.Background(), job.Config{Recipe: tinted(t, set, "augment=[cutout]", "data.images=uint8"), Out: out})
	if err == nil || !strings.Contains(err.Error(), "cutout (augment)") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if exists, _ := filepath.Glob(out + "*"); len(exists) > 0 {
		t.Error("a folder was made for a run that cannot be")
	}
}

// The step of 8-bit images that is written alone says so, and its scripts feed
// them.
func TestByteArtifacts(t *testing.T) {
	out := filepath.Join(t.TempDir(), "set")
	if _, err := job.Artifacts(job.ArtifactsConfig{Recipe: tinted(t, colours(t), "data.images=uint8"), Out: out}); err != nil {
		t.Fatal(err)
	}
	if text := string(read(t, out, guide.Document)); !strings.Contains(text, "uint8 16×3×32×32 | images, 0 to 255") {
		t.Error("the document does not say that the step takes 8-bit images")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("Node is not installed, so the script was not checked")
	}
	if text, err := exec.Command(node, "--check", filepath.Join(out, guide.Node)).CombinedOutput(); err != nil {
		t.Errorf("%s: %v", text, err)
	}
}

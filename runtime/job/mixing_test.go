package job_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// A run with every kind of batch and target trick, stopped in mid-epoch and
// resumed by another number of workers, ends with the bytes of a whole one.
func TestMixedRunResumesExactly(t *testing.T) {
	ortest.Open(t)
	data := digits(t)
	changes := []string{"data.dir=" + data, "limit=320", "data.repeats=2",
		"mix=[{name: mixup, alpha: 1, mode: element}, {name: cutmix, mode: pair}, {name: ricap, off_epochs: 1}]",
		"target={label_smoothing: {epsilon: 0.1}, class_weights: {form: effective, beta: 0.99}}"}
	whole, cut := t.TempDir(), t.TempDir()
	res, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, changes...), Out: whole})
	if err != nil {
		t.Fatal(err)
	}
	if !res.Done {
		t.Error("the run is not complete")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err = job.Train(ctx, job.Config{Recipe: mnist(t, changes...), Out: cut, Reporter: &stopper{7, cancel}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	other := mnist(t, append(changes, "data.workers=1")...)
	if _, err := job.Train(context.Background(), job.Config{Recipe: other, Out: cut, Resume: true}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{job.CheckpointFile, job.ModelFile} {
		if !bytes.Equal(read(t, whole, name), read(t, cut, name)) {
			t.Errorf("%s differs between the whole and the resumed run", name)
		}
	}
}

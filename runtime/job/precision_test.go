package job

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime/metrics"
)

// TestMixedRun: a run in mixed precision counts its overflows, shows the scale,
// goes on from a checkpoint as if nothing had been, and ends in a float32 model.
func TestMixedRun(t *testing.T) {
	// Doubled every other step, the scale soon overflows.
	changes := []string{"precision={type: mixed, growth_interval: 2}", "average=swa", "accumulate=2"}
	n := &notes{}
	whole, res, err := spoiled(t, nil, n, changes...)
	if err != nil || !res.Done {
		t.Fatal(res, err)
	}
	rows, err := metrics.Read(filepath.Join(whole, metrics.File))
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, line := range n.lines {
		if strings.Contains(line, "the scaled gradient overflowed float16 in") {
			told++
		}
	}
	if len(rows) != 2 || told != 2 || rows[0].Skipped+rows[1].Skipped < 2 || rows[0].LossScale < artifact.FirstLossScale || rows[1].LossScale == 0 {
		t.Errorf("rows %+v, notes %q", rows, n.lines)
	}
	if model := fileOf(t, whole, ModelFile); bytes.Contains(model, []byte("float16")) {
		t.Error("the model holds float16 values")
	}
	ctx, cancel := context.WithCancel(context.Background())
	out := filepath.Join(t.TempDir(), "run")
	if _, err := Train(ctx, Config{Recipe: smallRecipe(t, changes...), Out: out, Reporter: &interrupter{calls: 15, cancel: cancel}}); err == nil {
		t.Fatal("it was not interrupted")
	}
	if _, err := Train(context.Background(), Config{Out: out, Resume: true}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{ModelFile, CheckpointFile} {
		if !bytes.Equal(fileOf(t, out, f), fileOf(t, whole, f)) {
			t.Errorf("%s of a run that was interrupted differs", f)
		}
	}
	// Weights go from one precision to the other.
	for precision, from := range map[string]string{"float32": whole, "mixed": whole} {
		if _, _, err := spoiled(t, nil, n, "epochs=1", "model.weights="+from, "precision="+precision); err != nil {
			t.Errorf("%s from a run in mixed precision: %v", precision, err)
		}
	}
}

// TestMixedPolicies: a loss that is not finite is the policy's business in mixed
// precision too, and so is a gradient that overflows under a scale that stays.
func TestMixedPolicies(t *testing.T) {
	n := &notes{}
	if _, _, err := spoiled(t, map[int64]bool{3: true}, n, "precision=mixed", "epochs=1"); err == nil || !strings.Contains(err.Error(), "step 3") || !strings.Contains(err.Error(), "1 values of the images are not finite") {
		t.Errorf("error %v", err)
	}
	for _, k := range []string{"1", "4"} {
		n = &notes{}
		out, _, err := spoiled(t, map[int64]bool{3: true}, n, "precision=mixed", "epochs=1", "non_finite=skip", "steps_per_run="+k)
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := metrics.Read(filepath.Join(out, metrics.File)); err != nil || rows[0].Skipped != 1 {
			t.Errorf("%s steps a run: %+v %v", k, rows, err)
		}
	}
	_, _, err := spoiled(t, nil, n, "precision={type: mixed, loss_scale: 16777216}", "epochs=1")
	if err == nil || !strings.Contains(err.Error(), "precision.loss_scale") {
		t.Errorf("error %v", err)
	}
}

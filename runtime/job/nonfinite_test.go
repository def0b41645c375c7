package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// notes keeps what a run tells.
type notes struct {
	silent
	lines []string
}

func (n *notes) Note(line string) { n.lines = append(n.lines, line) }

// spoiled runs ResNet-8 on 320 generated digits in batches of 32, ten steps an
// epoch, with the images of some steps spoiled, and returns the folder.
func spoiled(t *testing.T, spoil map[int64]bool, n *notes, changes ...string) (string, Result, error) {
	t.Helper()
	ortest.Open(t)
	r := smallRecipe(t, changes...)
	out := filepath.Join(t.TempDir(), "run")
	res, err := Train(context.Background(), Config{Recipe: r, Out: out, Reporter: n, spoil: func(step int64, images []float32) {
		if spoil[step] {
			images[7] = float32(math.NaN())
		}
	}})
	return out, res, err
}

func smallRecipe(t *testing.T, changes ...string) *recipe.Recipe {
	t.Helper()
	r := recipe.Default()
	for _, c := range append([]string{
		"data.name=mnist", "data.dir=" + smallDigits(t), "model.name=resnet8", "epochs=2", "batch=32", "data.workers=2", "threads=1",
	}, changes...) {
		if err := r.Set(c); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// smallDigits writes random IDX files: 320 images of 8×8 pixels to train on,
// 40 to test on.
func smallDigits(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, count := range map[string]int{"train": 320, "t10k": 40} {
		images := []byte{0, 0, 8, 3, 0, 0, byte(count >> 8), byte(count), 0, 0, 0, 28, 0, 0, 0, 28}
		labels := []byte{0, 0, 8, 1, 0, 0, byte(count >> 8), byte(count)}
		for i := range count {
			labels = append(labels, byte(i%10))
			for p := range 28 * 28 {
				images = append(images, byte(20*(i%10)+(i*p*7+p)%50))
			}
		}
		for part, b := range map[string][]byte{"images-idx3-ubyte": images, "labels-idx1-ubyte": labels} {
			if err := os.WriteFile(filepath.Join(dir, name+"-"+part), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestStopsWithAReport: by default a run ends at the step, says what was wrong,
// and can be resumed from before it; also in the midst of a run of several.
func TestStopsWithAReport(t *testing.T) {
	for _, k := range []string{"1", "4"} {
		out, _, err := spoiled(t, map[int64]bool{16: true}, &notes{}, "steps_per_run="+k)
		if !errors.Is(err, runtime.ErrNonFinite) {
			t.Fatalf("%v", err)
		}
		for _, want := range []string{"epoch 2", "diverged at step 16, learning rate 0.0", "loss NaN", "1 values of the images are not finite", "of 32 images are not finite", "tensors are not finite: conv1", NonFiniteFile} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s steps a run: the error does not say %q: %v", k, want, err)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %v", err)
		}
		b, err := os.ReadFile(filepath.Join(out, NonFiniteFile))
		var r NonFiniteReport
		if err != nil || json.Unmarshal(b, &r) != nil || r.Step != 16 || r.Images != 1 || len(r.Tensors) < 20 || r.Tensors[0].BadGradients == 0 || r.Tensors[0].Bad != 0 {
			t.Errorf("report %+v, %v", r, err)
		}
		// Without the bad image the run ends as if it had not stopped.
		if _, err := Train(context.Background(), Config{Out: out, Resume: true}); err != nil {
			t.Fatal(err)
		}
		whole, _, err := spoiled(t, nil, &notes{}, "steps_per_run=1")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(fileOf(t, out, ModelFile), fileOf(t, whole, ModelFile)) {
			t.Errorf("%s steps a run: the resumed run ends in another model", k)
		}
	}
}

func fileOf(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSkips: the bad steps are left out, one by one and in runs of several to
// the same bytes, and counted; too many end the run.
func TestSkips(t *testing.T) {
	bad := map[int64]bool{3: true, 12: true}
	var models [][]byte
	for _, k := range []string{"1", "4"} {
		n := &notes{}
		out, res, err := spoiled(t, bad, n, "steps_per_run="+k, "non_finite=skip", "average={name: ema, decay: 0.9}")
		if err != nil || !res.Done {
			t.Fatalf("%s steps a run: %v", k, err)
		}
		models = append(models, fileOf(t, out, ModelFile), fileOf(t, out, CheckpointFile))
		told := strings.Join(n.lines, "\n")
		if !strings.Contains(told, "step 3 skipped, number 1 of at most 100") || !strings.Contains(told, "step 12 skipped, number 2") {
			t.Errorf("%s steps a run: told %s", k, told)
		}
		rows, err := metrics.Read(filepath.Join(out, MetricsFile))
		if err != nil || len(rows) != 2 || rows[0].Skipped != 1 || rows[1].Skipped != 1 || rows[1].Step != 20 {
			t.Errorf("metrics %+v, %v", rows, err)
		}
	}
	if !bytes.Equal(models[0], models[2]) || !bytes.Equal(models[1], models[3]) {
		t.Error("one step a run and four end in other bytes")
	}
	for _, k := range []string{"1", "4"} {
		out, _, err := spoiled(t, bad, &notes{}, "steps_per_run="+k, "non_finite={policy: skip, limit: 1}")
		if err == nil || !errors.Is(err, runtime.ErrNonFinite) || !strings.Contains(err.Error(), "non_finite.limit: 1 steps have been skipped") {
			t.Fatalf("%v", err)
		}
		if _, err := Train(context.Background(), Config{Out: out, Resume: true}); err != nil {
			t.Errorf("%s steps a run: the run cannot be continued: %v", k, err)
		}
	}
}

// TestReturns: the run goes back to the last checkpoint and on at half the rate;
// where that does not help, it ends.
func TestReturns(t *testing.T) {
	once := map[int64]bool{15: true}
	spoils := 0
	n := &notes{}
	r := smallRecipe(t, "non_finite={policy: rollback, limit: 2}", "schedule.warmup=none", "schedule.name=constant", "schedule.lr=0.1")
	out := filepath.Join(t.TempDir(), "run")
	res, err := Train(context.Background(), Config{Recipe: r, Out: out, Reporter: n, spoil: func(step int64, images []float32) {
		if once[step] && spoils == 0 {
			spoils++
			images[7] = float32(math.NaN())
		}
	}})
	if err != nil || !res.Done {
		t.Fatal(err)
	}
	told := strings.Join(n.lines, "\n")
	if !strings.Contains(told, "diverged at step 15, learning rate 0.1") || !strings.Contains(told, "back to epoch 2, step 1 with 0.5 of the learning rate, return 1 of at most 2") {
		t.Errorf("told %s", told)
	}
	rows, err := metrics.Read(filepath.Join(out, MetricsFile))
	if err != nil || len(rows) != 2 || rows[0].LR != 0.1 || rows[1].LR != 0.05 {
		t.Errorf("metrics %+v, %v", rows, err)
	}

	for _, step := range []int64{4, 15} { // before the first checkpoint of an epoch, and after
		n = &notes{}
		_, _, err = spoiled(t, map[int64]bool{step: true}, n, "non_finite={policy: rollback, limit: 2}")
		if err == nil || !strings.Contains(err.Error(), "non_finite.limit: 2 returns to a checkpoint, which is the limit") {
			t.Fatalf("%v", err)
		}
		if told := strings.Join(n.lines, "\n"); !strings.Contains(told, "with 0.25 of the learning rate, return 2") {
			t.Errorf("told %s", told)
		}
	}
}

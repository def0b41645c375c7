package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// Tuning times every form of every distinct operator; what it wrote decides
// how later steps are lowered.
func TestTune(t *testing.T) {
	ortest.Open(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	r := mnist(t, "threads=1")
	rows, err := job.Tune(context.Background(), job.TuneConfig{Recipe: r})
	if err != nil {
		t.Fatal(err)
	}
	// Cut off after two operators; --missing goes on, and then takes what is kept.
	again := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", again)
	job.ForgetTuning()
	ctx, cancel := context.WithCancel(context.Background())
	told := 0
	cut, err := job.Tune(ctx, job.TuneConfig{Recipe: r, Row: func(job.Tuned) error {
		if told++; told == 2 {
			cancel()
		}
		return nil
	}})
	if !errors.Is(err, context.Canceled) || len(cut) != 2 {
		t.Fatalf("cut off: %d rows, %v", len(cut), err)
	}
	rest, err := job.Tune(context.Background(), job.TuneConfig{Recipe: r, Missing: true})
	if err != nil || len(rest) != len(rows) || !reflect.DeepEqual(rest[:2], cut) {
		t.Errorf("went on to %d rows of %d: %v", len(rest), len(rows), err)
	}
	if all, err := job.Tune(context.Background(), job.TuneConfig{Recipe: r, Missing: true}); err != nil || !reflect.DeepEqual(all, rest) {
		t.Errorf("what is kept was timed again: %v", err)
	}
	kinds := map[string]int{}
	for _, row := range rows {
		kinds[row.Operator]++
		if row.Seconds[row.Rule] <= 0 || row.Seconds[row.Best] <= 0 || row.Seconds[row.Best] > row.Seconds[row.Rule] || row.Times < 1 {
			t.Errorf("%+v", row)
		}
	}
	for _, kind := range []string{"Conv", "ConvGradInput", "ConvGradWeight", "BatchNormGrad"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s is timed", kind)
		}
	}

	// Let the file say that a form which no rule takes is by far the fastest.
	path, err := job.TuningFile()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]map[string]map[string]float64
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	changed := 0
	for _, entries := range m {
		for key, forms := range entries {
			if strings.HasPrefix(key, "ConvGradWeight") {
				forms["taps"] = 1e-12
				changed++
			}
		}
	}
	if changed == 0 {
		t.Fatal("no weight gradient in the file")
	}
	taps := func() int {
		resolved, err := r.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		d, err := data.Open(data.FromRecipe(resolved))
		if err != nil {
			t.Fatal(err)
		}
		set, err := artifact.Build(job.Spec(resolved, d))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, node := range set.Step.GetGraph().GetNode() {
			if node.OpType == "ConvGradWeight" || strings.Contains(node.OpType, "Conv") && strings.Contains(node.Name, "grad") {
				n++
			}
		}
		return n
	}
	before := taps()
	if b, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	job.ForgetTuning()
	if after := taps(); after == before {
		t.Errorf("the file changed nothing: %d convolutions in the backward pass", after)
	}
	// Tuning again starts from the damaged file's message, not from a crash.
	if err := os.WriteFile(path, b[:len(b)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := job.Tune(context.Background(), job.TuneConfig{Recipe: r}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a damaged file: %v", err)
	}
}

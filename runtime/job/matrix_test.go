package job_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestTricksResumeAndExport: with each trick a run trains, a run cancelled
// within an epoch and resumed ends with the same bytes, and its model exports.
func TestTricksResumeAndExport(t *testing.T) {
	ortest.Open(t)
	data := digits(t)
	for _, settings := range [][]string{
		{"model.options.dropout=0.5"},
		{"model.options.stochastic_depth=0.5", "model.options.preact=true"},
		{"model.options.zero_gamma=true", "model.options.shortcut=B"},
		{"accumulate=4"},
		{"sampling=class_balanced"},
		{"loss=bce", "target.label_smoothing.epsilon=0.1"},
		{"loss=focal"},
		{"loss=focal_bce", "focal.gamma=1.5", "target.label_smoothing.epsilon=0.1"},
		{"accumulate=2", "average=swa", "average.start=0", "model.options.dropout=0.1"},
		{"average=ema"},
		{"average=swa", "epochs=3", "average.start=0.3"},
		{"stop=early_stopping", "stop.patience=1", "average={name: ema, decay: 0.9}"},
		{"target.label_smoothing.epsilon=0.1", "augment=[crop, mirror, cutout]"},
		{"schedule.name=plateau", "schedule.warmup.kind=until_error"},
		{"schedule.name=one_cycle", "schedule.warmup=none", "optimizer.nesterov=true"},
	} {
		t.Run(strings.Join(settings, " "), func(t *testing.T) {
			ctx := context.Background()
			changes := append([]string{"data.dir=" + data, "batch=16", "limit=96"}, settings...)
			whole, cut := t.TempDir(), t.TempDir()
			if _, err := job.Train(ctx, job.Config{Recipe: mnist(t, changes...), Out: whole}); err != nil {
				t.Fatal(err)
			}
			cancelled, cancel := context.WithCancel(ctx)
			defer cancel()
			if _, err := job.Train(cancelled, job.Config{Recipe: mnist(t, changes...), Out: cut,
				Reporter: &stopper{8, cancel}}); !errors.Is(err, context.Canceled) {
				t.Fatalf("cancelled: %v", err)
			}
			if _, err := job.Train(ctx, job.Config{Out: cut, Resume: true}); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{job.CheckpointFile, job.ModelFile} {
				if !bytes.Equal(read(t, whole, name), read(t, cut, name)) {
					t.Errorf("%s differs after a resume", name)
				}
			}
			out := filepath.Join(t.TempDir(), "model.onnx")
			if _, err := job.Export(ctx, job.ExportConfig{Run: whole, Out: out, Unfolded: true}); err != nil {
				t.Fatal(err)
			}
			sameGraph(t, out, filepath.Join(whole, job.ModelFile))
			if _, err := check.File(out); err != nil {
				t.Error(err)
			}
			rows, err := metrics.Read(filepath.Join(whole, job.MetricsFile))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(settings[0], "average") {
				score, err := job.Evaluate(ctx, job.EvalConfig{Run: whole})
				if err != nil {
					t.Fatal(err)
				}
				if last := rows[len(rows)-1]; score.Top1 != last.TestAccuracy || score.Loss != last.TestLoss {
					t.Errorf("evaluating the run gives %.4f, %.6f; training ended with %.4f, %.6f", score.Top1, score.Loss, last.TestAccuracy, last.TestLoss)
				}
			}
		})
	}
}

// TestEarlyStopping: a run whose rate is zero never improves, stops after its
// patience, and exports the first epoch's weights.
func TestEarlyStopping(t *testing.T) {
	ortest.Open(t)
	dir := t.TempDir()
	res, err := job.Train(context.Background(), job.Config{Out: dir, Recipe: mnist(t, "limit=32", "epochs=9",
		"schedule.name=constant", "schedule.warmup=none", "schedule.lr=1e-12", "stop=early_stopping", "stop.patience=2",
		"stop.min_delta=10")})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := metrics.Read(filepath.Join(dir, job.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || !res.Done {
		t.Errorf("stopped after %d epochs (done: %v), want 3", len(rows), res.Done)
	}
	score, err := job.Evaluate(context.Background(), job.EvalConfig{Run: dir})
	if err != nil {
		t.Fatal(err)
	}
	if score.Loss != rows[0].TestLoss {
		t.Errorf("the exported weights have loss %v, the best epoch %v", score.Loss, rows[0].TestLoss)
	}
	if again, err := job.Train(context.Background(), job.Config{Out: dir, Resume: true}); err != nil || !again.Done {
		t.Errorf("resuming a stopped run: %v", err)
	}
}

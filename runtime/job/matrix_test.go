package job_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// colours returns a folder with random images in CIFAR-10's format, each tinted
// by its class: train.bin with 96, test.bin with 20.
func colours(t *testing.T) string {
	t.Helper()
	dir, r := t.TempDir(), rand.New(rand.NewPCG(8, 8))
	for name, n := range map[string]int{"train.bin": 96, "test.bin": 20} {
		var b []byte
		for i := range n {
			label := i % 10
			b = append(b, byte(label))
			for c := range 3 {
				for range 32 * 32 {
					b = append(b, byte(min(255, r.IntN(160)+(label*(c+1)%10)*10)))
				}
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// cases of the matrix: each names the tricks that it has and the settings that
// turn them on.
var matrix = []struct {
	tricks   string
	settings []string
}{
	{"crop mirror cutout mixup label_smoothing cosine gradual_warmup sgd ema dropout weight_decay batch_norm", []string{
		"augment=[crop, mirror, cutout]", "mix=[mixup]", "target={label_smoothing: {epsilon: 0.1}}", "optimizer.nesterov=true",
		"average=ema", "model.options.dropout=0.5", "optimizer.weight_decay=0.001"}},
	{"autoaugment random_erasing cutmix step constant_warmup adam clip_norm gradient_accumulation", []string{
		"augment=[autoaugment, random_erasing]", "mix=[cutmix]", "schedule.name=step", "schedule.step_size=1",
		"schedule.warmup={kind: constant, steps: 2}", "optimizer.name=adam", "gradient.clip_norm=1", "accumulate=4"}},
	{"randaugment gridmask ricap multistep until_error_warmup adamw clip_value", []string{
		"augment=[randaugment, gridmask]", "mix=[ricap]", "schedule.name=multistep", "schedule.warmup={kind: until_error}",
		"optimizer.name=adamw", "gradient.clip_value=0.1"}},
	{"trivialaugment_wide hide_and_seek repeated_augmentation one_cycle adabound l1 swa", []string{
		"augment=[trivialaugment_wide, hide_and_seek]", "data.repeats=2", "schedule.name=one_cycle", "schedule.warmup=none",
		"optimizer.name=adabound", "gradient.l1=1e-5", "average=swa", "epochs=3", "average.start=0.3"}},
	{"augmix class_balanced triangular amsbound agc", []string{
		"augment=[augmix]", "sampling=class_balanced", "schedule.name=triangular", "schedule.half_cycle=0.5",
		"optimizer.name=amsbound", "gradient.agc=0.01"}},
	{"three_augment rotation class_weights restarts lamb stochastic_depth", []string{
		"augment=[three_augment, rotation]", "target={class_weights: {form: effective}}", "schedule.name=restarts", "schedule.first=1", "optimizer.name=lamb",
		"model.options.stochastic_depth=0.5", "model.options.preact=true"}},
	{"colour_jitter grayscale weighted exponential lars zero_gamma", []string{
		"augment=[colour_jitter, grayscale]", "sampling={name: weighted, weights: [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]}", "schedule.name=exponential", "optimizer.name=lars",
		"model.options.zero_gamma=true", "model.options.shortcut=B"}},
	{"pca_colour random_resized_crop polynomial lion initialisation", []string{
		"augment=[{name: pca_colour, from: data}, random_resized_crop]", "schedule.name=polynomial", "optimizer.name=lion",
		"model.options.init=xavier_normal"}},
	{"focal plateau muon", []string{"loss=focal", "schedule.name=plateau", "optimizer.name=muon"}},
	{"bce constant rmsprop early_stopping", []string{"loss=bce", "target={label_smoothing: {epsilon: 0.1}}", "schedule.name=constant",
		"optimizer.name=rmsprop", "stop=early_stopping", "stop.patience=1", "average={name: ema, decay: 0.9}"}},
	{"self_distillation squeeze_excitation resize", []string{"augment=[resize, mirror]", "teacher.self=true", "average=ema", "model.options.se=true"}},
	{"mixed_precision", []string{"precision=mixed", "augment=[crop, mirror]", "optimizer.name=adamw", "average={name: ema, decay: 0.9}"}},
	{"shakedrop", []string{"model.name=pyramidnet20_a24", "model.options.shakedrop=0.5"}},
	{"auxiliary_head", []string{"model.name=amoebanet_b_1_16", "limit=12", "batch=4", "epochs=1"}},
	{"shake_shake", []string{"model.name=shake26_2x32d", "limit=12", "batch=4", "epochs=1"}},
	{"focal", []string{"loss=focal_bce", "focal.gamma=1.5", "mix=[mixup, {name: cutmix, off_epochs: 1}]", "accumulate=2", "average=swa",
		"average.start=0", "model.options.dropout=0.1"}},
}

// elsewhere are tricks that other tests of this package take through the same.
var elsewhere = map[string]string{"distillation": "TestTaughtRunsResumeAndExport", "born_again": "TestGenerations"}

// tinted returns a recipe on the images of colours.
func tinted(t *testing.T, dir string, changes ...string) *recipe.Recipe {
	t.Helper()
	r := recipe.Default()
	for _, c := range append([]string{
		"data.name=cifar10", "data.dir=" + dir, "data.train_files=[train.bin]", "data.test_files=[test.bin]", "data.workers=2",
		"model.name=resnet8", "epochs=2", "batch=16", "schedule.lr=0.01",
	}, changes...) {
		if err := r.Set(c); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// TestEveryTrick: with each trick a run trains, a run cancelled within an epoch
// and resumed ends with the same bytes, and its model exports.
func TestEveryTrick(t *testing.T) {
	ortest.Open(t)
	dir := colours(t)
	missing := map[string]bool{}
	for _, trick := range tricks.All("") {
		missing[trick.Name] = true
	}
	for _, c := range matrix {
		for name := range strings.FieldsSeq(c.tricks) {
			if _, err := tricks.Lookup(name); err != nil {
				t.Error(err)
			}
			delete(missing, name)
		}
		t.Run(strings.ReplaceAll(c.tricks, " ", "+"), func(t *testing.T) { trainResumeExport(t, dir, c.settings) })
	}
	for name := range elsewhere {
		delete(missing, name)
	}
	for name := range missing {
		t.Errorf("no case has the trick %s", name)
	}
}

func trainResumeExport(t *testing.T, dir string, settings []string) {
	ctx := context.Background()
	whole, cut := t.TempDir(), t.TempDir()
	if _, err := job.Train(ctx, job.Config{Recipe: tinted(t, dir, settings...), Out: whole}); err != nil {
		t.Fatal(err)
	}
	rows, err := metrics.Read(filepath.Join(whole, job.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	after := int(rows[len(rows)-1].Step) * 2 / 3 // in mid-epoch
	cancelled, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := job.Train(cancelled, job.Config{Recipe: tinted(t, dir, settings...), Out: cut,
		Reporter: &stopper{after, cancel}}); !errors.Is(err, context.Canceled) {
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
	if stopped := strings.Contains(strings.Join(settings, " "), "stop="); stopped {
		return // the weights are those of the best epoch
	}
	score, err := job.Evaluate(ctx, job.EvalConfig{Run: whole})
	if err != nil {
		t.Fatal(err)
	}
	if last := rows[len(rows)-1]; score.Top1 != last.TestAccuracy || score.Loss != last.TestLoss {
		t.Errorf("evaluating the run gives %.4f, %.6f; training ended with %.4f, %.6f", score.Top1, score.Loss, last.TestAccuracy, last.TestLoss)
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

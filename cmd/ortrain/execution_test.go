package main

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// executing are the commands that run a model, each with the least that it needs
// to come as far as looking at what is to run it.
func executing(t *testing.T) map[string][]string {
	data, scratch := bars(t), t.TempDir()
	recipe := func(name ...string) []string {
		return append(name, "--data", "mnist", "--data-dir", data, "--model", "resnet8", "--batch", "32")
	}
	return map[string][]string{
		"train":   append(recipe("train"), "--out", filepath.Join(scratch, "run")),
		"lr-find": append(recipe("lr-find"), "--out", filepath.Join(scratch, "lr")), "tune": recipe("tune"),
		"augment": append(recipe("augment", "search"), "--out", filepath.Join(scratch, "policy.yaml")),
		"eval":    words("eval --onnx m.onnx --data mnist"),
		"predict": words("predict --onnx m.onnx x.png"), "serve": words("serve --onnx m.onnx"),
		"verify": words("verify m.onnx"), "export": words("export --run r --out m.onnx"), "doctor": words("doctor"),
	}
}

// TestExecutionFlags: every command that runs a model takes the same flags and
// objects to the same mistakes in the same words.
func TestExecutionFlags(t *testing.T) {
	said := map[string]string{}
	for name, args := range executing(t) {
		for _, c := range []struct{ flags, want string }{
			{"--provider cudda", `provider: "cudda"; did you mean "cuda"?`},
			{"--device 1", "cuda: needs provider: cuda, cpu"},
			{"--cuda tf32=false", "cuda: needs provider: cuda"},
			{"--provider cuda --device -1", "cuda.device: negative, -1"},
			{"--provider cuda --device one", `--device whole number "one"`},
			{"--provider cuda --cuda memory=3", `--cuda memory=3: cuda.memory "memory_gib"?`},
			{"--provider cuda --cuda memory_gib=-2", "cuda.memory_gib: -2"},
			{"--provider cuda --cuda convolution_search=fast", `cuda.convolution_search: "fast"`},
			{"--provider cuda --cuda fallback=gpu", `cuda.fallback: "gpu"`},
			{"--provider cuda --cuda tf32", "key=value"},
		} {
			all := append(args[:len(args):len(args)], words(c.flags)...)
			refused(t, all, words(c.want)...)
			line, _, _ := strings.Cut(ortrain(t, all...).err, " (see ")
			if before, ok := said[c.flags]; ok && line != before {
				t.Errorf("%s %s says %q, another command %q", name, c.flags, line, before)
			}
			said[c.flags] = line
		}
	}
}

// TestExecutionOf: what the flags say is what a job is given.
func TestExecutionOf(t *testing.T) {
	off := false
	for flags, want := range map[string]job.Execution{
		"":                             {Provider: "cpu"},
		"--threads 3 --library lib.so": {Provider: "cpu", Threads: 3, Library: "lib.so"},
		"--provider cuda":              {Provider: "cuda"},
		"--provider cuda --device 2 --cuda memory_gib=1.5 --cuda tf32=false --cuda fallback=cpu --cuda convolution_search=heuristic": {
			Provider: "cuda", CUDA: recipe.CUDA{Device: 2, MemoryGiB: 1.5, TF32: &off, Fallback: "cpu", ConvolutionSearch: "heuristic"}},
	} {
		var got job.Execution
		app := &cli.App{Flags: executionFlags(), Action: func(c *cli.Context) (err error) {
			got, err = executionOf(c)
			return err
		}}
		if err := app.Run(append([]string{"test"}, words(flags)...)); err != nil {
			t.Errorf("%s: %v", flags, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", flags, got, want)
		}
	}
}

// TestNoCUDA: where the library has no such provider, every command says so in
// the line that train says.
func TestNoCUDA(t *testing.T) {
	lib := ortest.Open(t)
	commands := executing(t)
	run, model := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "model.onnx")
	must(t, trainArgs(bars(t), run, "--epochs", "1", "--limit", "32")...)
	must(t, "export", "--run", run, "--out", model)
	commands["eval"] = []string{"eval", "--run", run}
	commands["verify"] = []string{"verify", model}
	commands["export"] = []string{"export", "--run", run, "--out", model, "--int8"}
	delete(commands, "doctor") // it tells of more than one line
	for _, args := range commands {
		refused(t, append(args, "--provider", "cuda", "--library", lib.Path),
			lib.Path, "is built for the CPU: there is no libonnxruntime_providers_cuda.so beside it", "make setup-cuda")
	}
}

package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// refused checks that a command line fails with exit code 1 and one line that
// holds every one of the words, and prints no result.
func refused(t *testing.T, args []string, words ...string) {
	t.Helper()
	o := ortrain(t, args...)
	line := strings.TrimSuffix(o.err, "\n")
	if o.code != exitError || !strings.HasPrefix(line, "ortrain: ") || strings.Contains(line, "\n") || o.out != "" {
		t.Errorf("ortrain %s: exit code %d, printed %q and %q; want one line of complaint and exit code 1",
			strings.Join(args, " "), o.code, o.out, o.err)
	}
	for _, w := range words {
		if !strings.Contains(line, w) {
			t.Errorf("ortrain %s: %q does not say %q", strings.Join(args, " "), line, w)
		}
	}
}

func words(line string) []string { return strings.Fields(line) }

// TestUsage: mistakes in the command line itself.
func TestUsage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"trian", `"trian" did you mean "train"? (see ortrain --help)`},
		{"help trian", `did you mean "train"?`},
		{"--json list models", "--json comes first"},
		{"train --epoch 3", `--epoch; "--epochs"? (see ortrain train --help)`},
		{"train -lrr 3", `--lrr; "--lr"?`},
		{"eval --run r --zzzzzz", "unknown --zzzzzz"},
		{"train --epochs", "--epochs needs a value"},
		{"train --out --resume", "--out needs a value"},
		{"train --epochs three", `--epochs takes a whole number, "three"`},
		{"train --epochs 99999999999999999999", "--epochs out of range"},
		{"train --lr x", `--lr takes a number, "x"`},
		{"train --lr NaN", "--lr NaN"},
		{"train --seed -1", `--seed from 0 on, "-1"`},
		{"train --resume=perhaps", `--resume auto "perhaps"`},
		{"train --resume perhaps", `unexpected "perhaps"`},
		{"train --resume auto", "--resume --out DIR"},
		{"train --set checkpoint.kep=3", `checkpoint.kep did you mean "keep"?`},
		{"train --set checkpoint.keep=none", "checkpoint.keep none"},
		{"train --set checkpoint.keep=0 --out x", "checkpoint.keep at least 1, 0"},
		{"train --set checkpoint.minutes=-1 --out x", "checkpoint.minutes -1"},
		{"eval --onnx m.onnx --data mnist --checkpoint best", "--checkpoint --run DIR"},
		{"export --weights w.pth --model resnet20 --out x.onnx --checkpoint best", "--checkpoint --run DIR"},
		{"train --stop-after 0", "--stop-after 0: at least 1"},
		{"train runs/x", `unexpected "runs/x"`},
		{"train epochs=3", "did you mean --set epochs=3?"},
		{"train --resume", "--resume --out DIR"},
		{"train --teacher-temperature warm", `--teacher-temperature takes a number, "warm"`},
		{"train --set teacher.temprature=3", `did you mean "temperature"?`},
		{"train --set batch", `key=value "batch"`},
		{"train --set epoch=3", `epoch did you mean "epochs"?`},
		{"train --set optimizer.momentom=3", `did you mean "momentum"?`},
		{"train --set epochs=many", "epochs many"},
		{"eval", "--run DIR --onnx FILE"},
		{"eval --run a --onnx b", "exclude"},
		{"eval --onnx m.onnx", "--data"},
		{"eval --run r --limit 0", "--limit 0"},
		{"eval --weights w.pth --onnx b", "exclude"},
		{"eval --weights w.pth --data cifar10", "--model NAME"},
		{"eval --weights w.pth --model resnet20", "--data NAME"},
		{"eval --onnx b --data cifar10 --model resnet20", "--model --weights"},
		{"eval --weights w.pth --model resnet20 --data cifar10 --mean 1,2", "--mean --std"},
		{"eval --weights w.pth --model resnet20 --data cifar10 --mean 1,x --std 1,1", `--mean "x"`},
		{"eval --weights w.pth --model resnet20 --data cifar10 --option shortcut", "--option NAME=VALUE"},
		{"export --run r --weights w.pth --out x.onnx", "exclude"},
		{"export --weights w.pth --model resnet20 --out x.onnx", "--input CxHxW"},
		{"export --weights w.pth --model resnet20 --out x.onnx --input 3x32", "--input 3x32"},
		{"export --weights /nosuch.pth --model resnet20 --out x.onnx --input 3x32x32", "/nosuch.pth"},
		{"eval runs/demo", "did you mean --run runs/demo?"},
		{"eval m.onnx", "did you mean --onnx m.onnx?"},
		{"export --run r", "--out FILE"},
		{"predict x.png", "--onnx FILE"},
		{"predict --onnx m.onnx", "image files"},
		{"predict --onnx m.onnx --top 0 x.png", "--top 0"},
		{"predict --onnx m.onnx --mean 1,2 x.png", "--mean --std 2 0"},
		{"predict --onnx m.onnx --mean a --std 1 x.png", "--mean 0.485"},
		{"predict --onnx m.onnx --mean 0 --std 0 x.png", "--std 0: positive"},
		{"predict --onnx m.onnx --input-size 224 x.png", "--input-size 3x224x224"},
		{"predict --onnx m.onnx --resize 0 x.png", "--resize 0"},
		{"predict --onnx m.onnx --class-names nosuch x.png", "--class-names nosuch"},
		{"serve", "--onnx FILE"},
		{"serve m.onnx", "did you mean --onnx m.onnx?"},
		{"serve --onnx m.onnx --listen 80", "--listen 127.0.0.1:8080"},
		{"serve --onnx m.onnx --queue 0", "--queue 0"},
		{"serve --onnx m.onnx --timeout soon", `--timeout "soon" 10s`},
		{"serve --onnx m.onnx --timeout 0s", "--timeout 0s"},
		{"serve --onnx m.onnx --max-mib -1", "--max-mib -1"},
		{"serve --onnx m.onnx --log loud", "--log text json off"},
		{"serve --onnx nosuch.onnx", "nosuch.onnx"},
		{"web --onnx m.onnx", "--out DIR"},
		{"web --out site", "--onnx FILE"},
		{"web --onnx m.onnx --out site --ort-web nosuch", "nosuch npm install onnxruntime-web@1.30.0"},
		{"inspect", "one model file or run folder"},
		{"inspect a b", "one model file or run folder"},
		{"list", "models, optimizers, schedules, tricks, datasets"},
		{"list model", `did you mean "models"?`},
		{"list models --jsn", `--jsn; "--json"?`},
		{"tricks cosin", `did you mean "cosine"?`},
		{"tricks cosine crop", "one trick"},
		{"doctor now", `unexpected "now"`},
		{"version 2", `unexpected "2"`},
	} {
		refused(t, words(c.args), words(c.want)...)
	}
}

// TestBadTraining: what a run refuses before it writes anything.
func TestBadTraining(t *testing.T) {
	lib := ortest.Open(t)
	data, scratch := bars(t), t.TempDir()
	path := func(name string) string { return filepath.Join(scratch, name) }
	write(t, path("file"), []byte("not a folder"))
	write(t, path("type.yaml"), []byte("epochs: 2\nbatch: lots\n"))
	write(t, path("key.yaml"), []byte("epochs: 2\nbatsch: 3\n"))
	write(t, path("notyaml.yaml"), []byte("epochs: [1, 2\n"))

	// Broken copies of the data set.
	broken := func(name, file string, change func([]byte) []byte) string {
		dir := path(name)
		if err := os.CopyFS(dir, os.DirFS(data)); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, file), change(read(t, dir, file)))
		return dir
	}
	half := broken("half", "train-images-idx3-ubyte", func(b []byte) []byte { return b[:len(b)/2] })
	label := broken("label", "t10k-labels-idx1-ubyte", func(b []byte) []byte { b[8+17] = 10; return b })
	fewer := broken("fewer", "train-labels-idx1-ubyte", func([]byte) []byte { return idx([]int{3}, []byte{1, 2, 3}) })
	lacking := path("lacking")
	if err := os.Mkdir(lacking, 0o755); err != nil {
		t.Fatal(err)
	}

	out := path("out")
	base := []string{"train", "--data", "mnist", "--data-dir", data, "--model", "resnet8", "--batch", "32", "--library", lib.Path}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--model", "resnet21"}, `resnet21 "resnet20"?`},
		{[]string{"--data", "mnits"}, `mnits "mnist"?`},
		{[]string{"--provider", "cudda"}, `cudda "cuda"?`},
		{[]string{"--device", "1"}, "cuda provider: cpu"},
		{[]string{"--provider", "cuda", "--device", "-1"}, "cuda.device -1"},
		{[]string{"--provider", "cuda", "--set", "cuda.fallback=gpu"}, "cuda.fallback gpu"},
		{[]string{"--provider", "cuda", "--set", "cuda.convolution_search=fast"}, `cuda.convolution_search "fast"`},
		{[]string{"--provider", "cuda", "--set", "cuda.memory_gib=-2"}, "cuda.memory_gib -2"},
		{[]string{"--set", "optimizer.name=sdg"}, `sdg "sgd"?`},
		{[]string{"--set", "schedule.name=cosin"}, `cosin "cosine"?`},
		{[]string{"--set", "augment=[mirorr]"}, `mirorr "mirror"?`},
		{[]string{"--set", "model.options.shortcut=C"}, "shortcut A B"},
		{[]string{"--epochs", "0"}, "epochs 1"},
		{[]string{"--lr", "-1"}, "schedule.lr above 0"},
		{[]string{"--batch", "257"}, "batch 257 256"},
		{[]string{"--limit", "16"}, "limit 16 32"},
		{[]string{"--recipe", path("nosuch.yaml")}, path("nosuch.yaml")},
		{[]string{"--recipe", path("type.yaml")}, path("type.yaml") + ":2: batch"},
		{[]string{"--recipe", path("key.yaml")}, path("key.yaml") + `:2: batsch "batch"?`},
		{[]string{"--recipe", path("notyaml.yaml")}, path("notyaml.yaml")},
		{[]string{"--recipe", scratch}, scratch},
		{[]string{"--data-dir", path("nowhere")}, path("nowhere")},
		{[]string{"--data-dir", lacking}, lacking + "/train-images-idx3-ubyte"},
		{[]string{"--data-dir", half}, half + "/train-images-idx3-ubyte"},
		{[]string{"--data-dir", label}, label + "/t10k-labels-idx1-ubyte 17 10"},
		{[]string{"--data-dir", fewer}, fewer + "/train-labels-idx1-ubyte 3 256"},
		{[]string{"--train-files", "nothing.gz"}, "nothing.gz"},
		{[]string{"--test-files", path("file") + "," + path("file")}, path("file")},
		{[]string{"--out", path("file")}, path("file")},
		{[]string{"--out", path("file/below")}, path("file/below")},
		{[]string{"--library", path("file")}, path("file") + " ONNX Runtime"},
		{[]string{"--library", path("nosuch.so")}, path("nosuch.so")},
	} {
		before := snapshot(t, scratch)
		refused(t, append(append(base[:len(base):len(base)], "--out", out), c.args...), words(c.want)...)
		if !maps.Equal(before, snapshot(t, scratch)) {
			t.Errorf("%v: files were written or changed", c.args)
		}
		if _, err := os.Stat(out); err == nil {
			t.Fatalf("%v: the output folder was made", c.args)
		}
	}
	// A shared library that is something else.
	if other, _ := filepath.Glob("/lib/*/libm.so.6"); len(other) > 0 {
		refused(t, append(base[:len(base):len(base)], "--out", out, "--library", other[0]), other[0], "ONNX Runtime")
	}
}

// TestBadRun: a run folder that cannot be continued or used stays as it is.
func TestBadRun(t *testing.T) {
	ortest.Open(t)
	data, scratch := bars(t), t.TempDir()
	good := filepath.Join(scratch, "good")
	must(t, trainArgs(data, good, "--set", "epochs=1", "--limit", "16")...)
	changed := func(name, file string, content []byte) string {
		dir := filepath.Join(scratch, name)
		if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, file), content)
		return dir
	}
	checkpoint := read(t, good, job.CheckpointFile)
	half := changed("half", job.CheckpointFile, checkpoint[:len(checkpoint)/2])
	flipped := append([]byte(nil), checkpoint...)
	flipped[len(flipped)-9] ^= 1
	flip := changed("flip", job.CheckpointFile, flipped)
	other := changed("other", job.CheckpointFile, otherCheckpoint(t))
	noise := changed("noise", job.CheckpointFile, []byte("checkpoint"))
	step := changed("step", filepath.Join(job.ArtifactsDir, artifact.EvalFile), []byte("broken"))
	recipe := changed("recipe", job.RecipeFile, []byte("epochs: none\n"))
	model := read(t, good, job.ModelFile)
	cut := filepath.Join(scratch, "cut.onnx")
	write(t, cut, model[:len(model)/2])
	text := filepath.Join(scratch, "text.png")
	write(t, text, []byte("no picture"))
	onnx := filepath.Join(good, job.ModelFile)

	before := snapshot(t, scratch)
	for _, c := range []struct {
		args []string
		want string
	}{
		{trainArgs(data, good), good + " --resume"},
		{[]string{"train", "--resume", "--out", filepath.Join(scratch, "nosuch")}, filepath.Join(scratch, "nosuch")},
		{[]string{"train", "--resume", "--out", half}, half + "/checkpoint.safetensors damaged"},
		{[]string{"train", "--resume", "--out", flip}, flip + "/checkpoint.safetensors checksum"},
		{[]string{"train", "--resume", "--out", other}, other + "/checkpoint.safetensors resnet20 resnet8"},
		{[]string{"train", "--resume", "--out", noise}, noise + "/checkpoint.safetensors not a checkpoint"},
		{[]string{"train", "--resume", "--out", recipe}, recipe + "/recipe.yaml:1: epochs"},
		{[]string{"train", "--resume", "--out", good, "--batch", "8"}, "recipe differs"},
		{[]string{"eval", "--run", filepath.Join(scratch, "nosuch")}, filepath.Join(scratch, "nosuch")},
		{[]string{"eval", "--run", half}, half + "/checkpoint.safetensors damaged"},
		{[]string{"train", "--resume", "--out", flip}, flip + "/checkpoint.safetensors (--resume auto does)"},
		{[]string{"train", "--resume", "auto", "--out", good, "--batch", "8"}, "recipe differs batch: 16, now 8"},
		{[]string{"train", "--resume", "auto", "--out", recipe}, recipe + "/recipe.yaml:1: epochs"},
		{[]string{"train", "--resume", "auto", "--out", filepath.Join(good, job.RecipeFile)}, "is a file"},
		{[]string{"eval", "--run", good, "--checkpoint", "7"}, good + " step 7; it holds 1"},
		{[]string{"eval", "--run", good, "--checkpoint", "worst"}, "worst best"},
		{[]string{"eval", "--run", good, "--checkpoint", filepath.Join(flip, job.CheckpointFile)}, flip + "/checkpoint.safetensors damaged"},
		{[]string{"eval", "--run", good, "--checkpoint", filepath.Join(other, job.CheckpointFile)}, other + "/checkpoint.safetensors resnet20"},
		{[]string{"eval", "--run", other}, other + "/checkpoint.safetensors resnet20"},
		{[]string{"eval", "--run", step}, step + "/artifacts/eval.onnx damaged"},
		{[]string{"eval", "--onnx", cut, "--data", "mnist", "--data-dir", data}, cut},
		{[]string{"eval", "--onnx", onnx, "--data", "mnitsss", "--data-dir", data}, `mnitsss`},
		{[]string{"export", "--run", half, "--out", filepath.Join(scratch, "x.onnx")}, half + "/checkpoint.safetensors damaged"},
		{[]string{"export", "--run", good, "--out", filepath.Join(scratch, "no", "x.onnx")}, filepath.Join(scratch, "no")},
		{[]string{"export", "--run", scratch, "--out", filepath.Join(scratch, "x.onnx")}, scratch},
		{[]string{"predict", "--onnx", onnx, text}, text},
		{[]string{"predict", "--onnx", onnx, filepath.Join(scratch, "no.png")}, filepath.Join(scratch, "no.png")},
		{[]string{"predict", "--onnx", cut, text}, cut},
		{[]string{"predict", "--onnx", filepath.Join(scratch, "no.onnx"), text}, filepath.Join(scratch, "no.onnx")},
		{[]string{"inspect", cut}, cut},
		{[]string{"inspect", scratch}, scratch},
		{[]string{"inspect", step}, step + "/artifacts/eval.onnx damaged"},
	} {
		refused(t, c.args, words(c.want)...)
	}
	if !maps.Equal(before, snapshot(t, scratch)) {
		t.Error("files were written or changed")
	}
	// A damaged checkpoint does not keep the rest from being described.
	if o := ortrain(t, "inspect", half); o.code != exitError || !strings.Contains(o.out, "linear.weight") ||
		!strings.Contains(o.err, half+"/checkpoint.safetensors") {
		t.Errorf("inspect of a run with half a checkpoint: exit code %d\n%s%s", o.code, o.out, o.err)
	}
}

// otherCheckpoint is the checkpoint of another network.
func otherCheckpoint(t *testing.T) []byte {
	t.Helper()
	set, err := artifact.Build(artifact.Spec{
		Model: "resnet20", Config: models.Config{Classes: 10, Input: [3]int{1, side, side}},
		Optimizer: "sgd", Batch: 16, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), job.CheckpointFile)
	if err := runtime.WriteCheckpoint(path, set.Manifest, &runtime.Checkpoint{State: set.Manifest.InitialState()}); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

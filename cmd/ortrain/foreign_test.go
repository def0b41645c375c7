package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestForeignModel goes through a job with an ONNX file as the network: a model
// of this project's own making, which is a file like any other.
func TestForeignModel(t *testing.T) {
	ortest.Open(t)
	data, scratch := bars(t), t.TempDir()
	path := func(name string) string { return filepath.Join(scratch, name) }
	must(t, trainArgs(data, path("first"))...)
	theirs := path("theirs.onnx")
	write(t, theirs, read(t, path("first"), job.ModelFile))
	base := func(out string, more ...string) []string {
		return trainArgs(data, path(out), append([]string{"--model", theirs, "--lr", "0.01"}, more...)...)
	}
	var first job.EvalResult
	decode(t, must(t, "eval", "--run", path("first"), "--json").out, &first)

	// The weights come along: one epoch at a tiny rate leaves it as good.
	must(t, base("tuned", "--epochs", "1", "--lr", "0.0001")...)
	var tuned job.EvalResult
	decode(t, must(t, "eval", "--run", path("tuned"), "--json").out, &tuned)
	if tuned.Top1 < first.Top1-0.05 {
		t.Errorf("fine-tuned to %.2f from %.2f", tuned.Top1, first.Top1)
	}
	// From scratch it knows nothing at first.
	o := must(t, base("scratch", "--epochs", "1", "--lr", "0.0001", "--set", "model.scratch=true")...)
	var scratchScore job.EvalResult
	decode(t, must(t, "eval", "--run", path("scratch"), "--json").out, &scratchScore)
	if scratchScore.Top1 > 0.5 || !strings.Contains(o.err, "new weights") {
		t.Errorf("from scratch it scores %.2f:\n%s", scratchScore.Top1, o.err)
	}

	// A stopped run goes on without the file that it began with.
	freeze := []string{"--set", "model.freeze=[layer1.*, bn1.*]", "--set", "model.freeze_norms=true", "--set", "model.layer_decay=0.8"}
	must(t, base("whole", freeze...)...)
	must(t, base("parts", append(freeze, "--stop-after", "1")...)...)
	if err := os.Rename(theirs, path("moved.onnx")); err != nil {
		t.Fatal(err)
	}
	must(t, "train", "--resume", "--out", path("parts"))
	sameRun(t, path("whole"), path("parts"))
	if err := os.Rename(path("moved.onnx"), theirs); err != nil {
		t.Fatal(err)
	}
	testFrozen(t, path("whole"), path("first"))

	model := path("x.onnx")
	must(t, "export", "--run", path("whole"), "--out", model)
	testPredict(t, model)
	if o := must(t, "inspect", path("whole")); !strings.Contains(o.out, "theirs") || !strings.Contains(o.out, "frozen") {
		t.Errorf("inspect prints\n%s", o.out)
	}

	refused(t, base("no", "--set", "model.freeze=[layr1.*]"), `"layr1.*"`, "layer1")
	refused(t, base("no", "--set", "model.head=classifier"), `"classifier"`, theirs)
	refused(t, base("no", "--set", "model.options.preact=true"), "model.options")
	refused(t, base("no", "--set", "model.layer_decay=2"), "layer_decay")
	refused(t, base("no", "--set", "model.freeze_norms=true"), "model.freeze")
	refused(t, base("no", "--set", "model.freeze=['*']"), "no parameters to train")
	refused(t, append(base("no"), "--model", path("none.onnx")), "none.onnx")
	refused(t, append(base("no"), "--model", "resnet8", "--set", "model.scratch=true"), "model.scratch")
}

// testFrozen: what is frozen keeps the values that it came with, and only that.
func testFrozen(t *testing.T, run, first string) {
	t.Helper()
	m, err := artifact.ReadManifest(filepath.Join(run, job.ArtifactsDir, artifact.ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	if m.StatCount() == m.MovingCount() || m.MovingCount() == 0 {
		t.Errorf("%d of %d statistics move", m.MovingCount(), m.StatCount())
	}
	frozen := map[string]bool{}
	for _, s := range m.Statistics {
		frozen[s.Name] = s.Frozen
	}
	tensors := func(dir string) map[string]string {
		model, err := onnx.ReadFile(filepath.Join(dir, job.ModelFile))
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, i := range model.GetGraph().GetInitializer() {
			out[i.GetName()] = string(i.GetRawData())
		}
		return out
	}
	before, after := tensors(first), tensors(run)
	kept, changed := 0, 0
	for name, v := range before {
		if after[name] == "" {
			continue
		}
		same := after[name] == v
		switch {
		case frozen[name] != same && strings.Contains(name, "."):
			t.Errorf("%s: frozen %v, kept %v", name, frozen[name], same)
		case same:
			kept++
		default:
			changed++
		}
	}
	if !frozen["layer1.0.conv1.weight"] || !frozen["layer1.0.bn1.running_mean"] || !frozen["bn1.weight"] || frozen["conv1.weight"] || changed == 0 || kept == 0 {
		t.Errorf("frozen are %v", frozen)
	}
}

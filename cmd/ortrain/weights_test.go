package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestWeights: a run's tensors go out as safetensors, come back into the same
// network, and score the same; a new run starts from them.
func TestWeights(t *testing.T) {
	ortest.Open(t)
	data, scratch := bars(t), t.TempDir()
	run, tensors, model := filepath.Join(scratch, "run"), filepath.Join(scratch, "w.safetensors"), filepath.Join(scratch, "m.onnx")
	must(t, trainArgs(data, run)...)
	must(t, "export", "--run", run, "--out", tensors)
	must(t, "export", "--weights", tensors, "--model", "resnet8", "--input", "1x28x28", "--mean", "0.1307", "--std", "0.3081", "--out", model)

	var want job.EvalResult
	decode(t, must(t, "eval", "--run", run, "--json").out, &want)
	for _, args := range [][]string{
		{"--weights", tensors, "--model", "resnet8"},
		{"--weights", run, "--model", "resnet8"},
		{"--weights", filepath.Join(run, job.ModelFile), "--model", "resnet8"},
		{"--onnx", model},
	} {
		var got job.EvalResult
		decode(t, must(t, append([]string{"eval", "--data", "mnist", "--data-dir", data, "--json"}, args...)...).out, &got)
		if got.Top1 != want.Top1 || got.Images != want.Images {
			t.Errorf("%v scores %+v, the run %+v", args, got, want)
		}
	}

	// The first loss of a run that starts from trained weights is low, and the
	// report says what was found.
	tuned := filepath.Join(scratch, "tuned")
	o := must(t, trainArgs(data, tuned, "--set", "model.weights="+tensors, "--epochs", "1", "--lr", "0.0001")...)
	if !strings.Contains(o.err, "starting from "+tensors+": 37 of 37 tensors matched") {
		t.Errorf("no report:\n%s", o.err)
	}
	var tunedScore job.EvalResult
	decode(t, must(t, "eval", "--run", tuned, "--json").out, &tunedScore)
	if tunedScore.Top1 < want.Top1-0.05 {
		t.Errorf("one epoch at a tiny rate made %.2f of %.2f", tunedScore.Top1, want.Top1)
	}

	base := []string{"--data", "mnist", "--data-dir", data}
	refused(t, append([]string{"eval", "--weights", tensors, "--model", "resnet20"}, base...),
		"does not fit resnet20", "37 of 97 tensors matched", "missing", "layer1.1.conv1.weight")
	refused(t, append([]string{"eval", "--weights", tensors, "--model", "resnet18"}, base...), `no tensor "fc.weight"`)
	refused(t, append([]string{"eval", "--weights", tensors, "--model", "resnet8", "--option", "shortcut=B"}, base...),
		"shortcut B", "layer2.0.shortcut.0.weight")
	refused(t, trainArgs(data, filepath.Join(scratch, "no"), "--set", "model.weights="+tensors, "--model", "resnet20"), "model.partial")
}

package guide

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// TestEveryPort: the document of every kind of set has a row for each input and
// output of each of its models, with its type and shape, and speaks of what the
// kind is about.
func TestEveryPort(t *testing.T) {
	mixed := &artifact.Mixed{LossScale: 1024, Dynamic: true, GrowthInterval: 2000}
	for _, c := range []struct {
		name    string
		change  func(*artifact.Spec)
		says    []string
		without []string // what only others say
	}{
		{"plain", func(*artifact.Spec) {},
			[]string{"one training step on 4 images", "Nothing in the model looks for one: `loss`"}, []string{"Several steps", "in parts", "The teacher", "The average"}},
		{"loop", func(s *artifact.Spec) { s.Loop = true },
			[]string{"Several steps in one run", "| input | `steps` | int64 1 | how many steps to take |", "float32 steps×4×3×16×16 | images, normalised, for each step",
				"| `lr` | float32 steps |", "| `loss` | float32 steps | mean loss of the batch, for each step", "of the first such step"}, []string{"The average"}},
		{"guarded loop with an average", func(s *artifact.Spec) { s.Loop, s.Guard, s.Average = true, true, true },
			[]string{"leaves the state as it was, and the steps after it", "`average_params` += `average_share`·(`params` − `average_params`)",
				"with `average_params` as `params` and `average_stats` as `stats`", "| `average_share` | 1 − decay"}, []string{"Nothing in the model looks"}},
		{"average with frozen layers", func(s *artifact.Spec) {
			s.Loop, s.Average, s.Freeze = true, true, func(name string) bool { return name == "conv1.weight" }
		}, []string{"in place of the first"}, nil},
		{"loop in mixed precision", func(s *artifact.Spec) { s.Loop, s.Precision = true, mixed },
			[]string{"Several steps in one run", "`loss_scale`, and the steps after it", "doubles again after 2,000 good steps"}, []string{"Nothing in the model looks"}},
		{"mixed precision, fixed scale", func(s *artifact.Spec) { s.Precision = &artifact.Mixed{LossScale: 1024} },
			[]string{"changes nothing but the last element of `loss_scale`"}, nil},
		{"parts", func(s *artifact.Spec) { s.Accumulate = true },
			[]string{"one part of a training step", "A batch in parts", "keep only that and `stats_out`"}, []string{"Several steps"}},
		{"teacher", func(s *artifact.Spec) { s.Distillation = artifact.SoftDivergence },
			[]string{"The teacher", "`soft_weight`·T²·(Kullback-Leibler divergence"}, nil},
		{"bytes and noise", func(s *artifact.Spec) {
			s.Config.Options = map[string]string{"dropout": "0.3"}
			s.Pixels = &artifact.Pixels{Scale: []float32{1, 1, 1}, Shift: []float32{0, 0, 0}}
		}, []string{"uint8 4×3×16×16 | images, 0 to 255", "random numbers"}, nil},
		{"adamw, clipped", func(s *artifact.Spec) { s.Optimizer, s.Gradient = "adamw", []string{"clip_norm"} },
			[]string{"the number of the step, from 1"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := artifact.Spec{Model: "resnet8", Config: models.Config{Classes: 5, Input: [3]int{3, 16, 16}}, Optimizer: "sgd", Batch: 4}
			c.change(&spec)
			set, err := artifact.Build(spec)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := set.Write(dir); err != nil {
				t.Fatal(err)
			}
			if err := Write(dir); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(dir, Document))
			if err != nil {
				t.Fatal(err)
			}
			text := string(b)
			for _, file := range []string{artifact.StepFile, artifact.EvalFile, artifact.InferFile} {
				model, err := onnx.ReadFile(filepath.Join(dir, file))
				if err != nil {
					t.Fatal(err)
				}
				_, table, _ := strings.Cut(text, "| `"+file+"` | name |")
				table, _, _ = strings.Cut(table, "\n\n")
				for side, ports := range map[string][]*onnx.ValueInfoProto{"input": model.Graph.Input, "output": model.Graph.Output} {
					for _, v := range ports {
						if row := "\n| " + side + " | `" + v.Name + "` | " + typeOf(v) + " | "; !strings.Contains(table, row) {
							t.Errorf("%s: no row %q", file, row)
						}
					}
				}
			}
			for _, h := range set.Manifest.Hyper {
				if strings.Count(text, "| `"+h.Name+"` | ") != 2 { // as a port and with its value
					t.Errorf("the scalar %s has not two rows", h.Name)
				}
			}
			for _, s := range c.says {
				if !strings.Contains(text, s) {
					t.Errorf("it does not say %q", s)
				}
			}
			for _, s := range c.without {
				if strings.Contains(text, s) {
					t.Errorf("it says %q", s)
				}
			}
			if strings.Contains(text, "%!") {
				t.Error("a sentence lacks a word")
			}
		})
	}
}

// TestUnknownPort: a port that nothing is known of is a fault, not a row that
// guesses.
func TestUnknownPort(t *testing.T) {
	dir := t.TempDir()
	g := &onnx.GraphProto{Name: "g", Input: []*onnx.ValueInfoProto{onnx.TensorInfo("mystery", onnx.TensorProto_FLOAT, nil)}}
	b, err := onnx.Marshal(&onnx.ModelProto{IrVersion: 10, Graph: g})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, artifact.StepFile), b, 0o644); err != nil {
		t.Fatal(err)
	}
	err = ports(func(string, ...any) {}, dir, &artifact.Manifest{}, artifact.StepFile)
	if err == nil || !strings.Contains(err.Error(), `"mystery"`) {
		t.Errorf("%v", err)
	}
}

package guide

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// ports lists what a model takes and gives.
func ports(line func(string, ...any), dir string, m *artifact.Manifest, file string) error {
	model, err := onnx.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return err
	}
	words := meanings(m)
	line("| `%s` | name | type and shape | what |\n| --- | --- | --- | --- |", file)
	for _, side := range []struct {
		name  string
		ports []*onnx.ValueInfoProto
	}{{"input", model.GetGraph().GetInput()}, {"output", model.GetGraph().GetOutput()}} {
		for _, v := range side.ports {
			what, ok := words[v.GetName()]
			if !ok {
				return fmt.Errorf("guide: nothing is known of the %s %q of %s", side.name, v.GetName(), file)
			}
			if v.GetName() == artifact.Images && file == artifact.StepFile && m.Pixels != nil {
				what = "images, 0 to 255; the step normalises them (see `pixels` in the manifest)"
			}
			if dims := v.GetType().GetTensorType().GetShape().GetDim(); len(dims) > 0 && dims[0].GetDimParam() == artifact.Steps {
				what += ", for each step"
			}
			line("| %s | `%s` | %s | %s |", side.name, v.GetName(), typeOf(v), what)
		}
	}
	return nil
}

// meanings says what each port of a set's models holds.
func meanings(m *artifact.Manifest) map[string]string {
	words := map[string]string{
		artifact.Images:  "images, normalised",
		artifact.Targets: "soft targets; rows sum to one",
		artifact.Teacher: "the teacher's logits for the same images",
		artifact.Noise:   "random numbers, drawn anew for each step (see `random` in the manifest)",
		artifact.Steps:   "how many steps to take",

		artifact.Gradients:                      "zeros for the first part of a batch, then what the part before has returned",
		artifact.Gradients + artifact.OutSuffix: "sum of the gradients so far, for the batch's next part",

		artifact.Loss:         "mean loss of the batch",
		artifact.GradientNorm: "Euclidean norm of the gradient",
		artifact.Logits:       "one row an image",
	}
	for _, h := range m.Hyper {
		words[h.Name] = scalars[h.Name]
		if words[h.Name] == "" {
			words[h.Name] = "scalar of the update"
		}
	}
	state := map[string]string{
		artifact.Params:        "all trainable parameters, one after the other",
		artifact.Stats:         "all running statistics",
		artifact.LossScale:     "mixed precision's scale of the loss (its first value is `loss_scale` under `precision` in the manifest), the good steps since it changed (0), the steps skipped (0)",
		artifact.AverageParams: "the average of `" + artifact.Params + "`, which it equals before the first step",
		artifact.AverageStats:  "the average of the first elements of `" + artifact.Stats + "`, which it equals before the first step",
	}
	if m.MovingCount() < m.StatCount() {
		state[artifact.Stats] += ", and behind them what is frozen"
	}
	for _, slot := range m.Slots {
		state[slot.Name] = "optimizer state, as long as `" + artifact.Params + "`"
	}
	for name, what := range state {
		words[name], words[name+artifact.OutSuffix] = what, "the next run's `"+name+"`"
	}
	return words
}

// scalars says what the scalars are for that do not belong to an update rule.
var scalars = map[string]string{
	artifact.GradientWeight: "1 divided by the number of parts of a batch",
	artifact.AverageShare:   "how far the average moves towards the new state: 0 leaves it, 1 replaces it",
	artifact.Temperature:    "by which both logits are divided before they are compared",
	artifact.HardWeight:     "weight of the targets' term in the loss",
	artifact.SoftWeight:     "weight of the teacher's term in the loss",
}

func typeOf(v *onnx.ValueInfoProto) string {
	t := v.GetType().GetTensorType()
	var parts []string
	for _, d := range t.GetShape().GetDim() {
		if s := d.GetDimParam(); s != "" {
			parts = append(parts, s)
		} else {
			parts = append(parts, strconv.FormatInt(d.GetDimValue(), 10))
		}
	}
	name := strings.ToLower(onnx.TensorProto_DataType(t.GetElemType()).String())
	if name == "float" {
		name = "float32"
	}
	if len(parts) == 0 {
		return name + " scalar"
	}
	return name + " " + strings.Join(parts, "×")
}

// Package guide writes the document that goes with an artifact set: what each
// file takes and gives, and scripts that train a few steps with them in Python
// and in Node, on the stock ONNX Runtime and without Go.
package guide

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/artifact"
)

// The files that Write makes.
const (
	Document = "ARTIFACTS.md"
	Python   = "train_steps.py"
	Node     = "train_steps.mjs"
)

//go:embed train_steps.py
var python string

//go:embed train_steps.mjs
var node string

// Write puts the document and the scripts beside the artifact set in dir, whose
// manifest and models are read.
func Write(dir string) error {
	m, err := artifact.Read(dir)
	if err != nil {
		return err
	}
	text, err := render(dir, m)
	if err != nil {
		return err
	}
	for _, f := range []struct{ name, content string }{{Python, python}, {Node, node}, {Document, text}} {
		if err := atomicfile.Write(filepath.Join(dir, f.name), []byte(f.content)); err != nil {
			return err
		}
	}
	return nil
}

func render(dir string, m *artifact.Manifest) (string, error) {
	var w strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	in := m.Model.Input
	line("# Training %s with these files\n", m.Model.Name)
	line("Three ordinary ONNX models and a manifest, written by %s. Together they hold a whole training: any ONNX Runtime from 1.24 on runs them, in any language. Nothing else is needed, least of all the program that wrote them.\n", m.Producer)
	line("| file | size | what it does |\n| --- | ---: | --- |")
	for _, f := range []struct{ name, what string }{
		{artifact.StepFile, stepPurpose(m)},
		{artifact.EvalFile, "logits of any number of images, with the state as input"},
		{artifact.InferFile, "logits of any number of images, with the initial parameters inside: the form to deploy, once they are replaced"},
		{artifact.ManifestFile, "names, shapes and places of all parameters, how they are initialised, and the scalars of a step"},
		{Python, "trains a few steps in Python (below)"},
		{Node, "trains a few steps in Node (below)"},
	} {
		size := ""
		if st, err := os.Stat(filepath.Join(dir, f.name)); err == nil {
			size = count(int(st.Size()))
		}
		line("| `%s` | %s | %s |", f.name, size, f.what)
	}
	line("\nThe network is %s%s: %s parameters, %s running statistics, %s multiply-adds an image of %d×%d×%d, %d classes. The update rule is %s.",
		m.Model.Name, options(m.Model.Options), count(m.ParamCount()), count(m.StatCount()), count(int(m.Model.FLOPs)), in[0], in[1], in[2], m.Model.Classes, m.Optimizer.Name+options(m.Optimizer.Options))
	if m.Block != 0 {
		line("\n**`step.onnx` is arranged for this machine's processor** (blocks of %d channels): it runs only where ONNX Runtime uses the same. Write a portable set for other machines.", m.Block)
	} else {
		line("\n`step.onnx` is portable: it runs on any processor.")
	}

	if err := step(line, dir, m); err != nil {
		return "", err
	}

	line("\n## Evaluation and deployment\n")
	if err := ports(line, dir, m, artifact.EvalFile); err != nil {
		return "", err
	}
	line("")
	if err := ports(line, dir, m, artifact.InferFile); err != nil {
		return "", err
	}
	line("\nTo deploy, copy each tensor of `%s` and `%s` to the initializer of its name in `%s` (they are raw float32, little-endian).", artifact.Params, artifact.Stats, artifact.InferFile)
	if m.Average {
		line("\nThe average is evaluated and deployed in the same way, with `%s` as `%s`%s.", artifact.AverageParams, artifact.Params, averageStats(m))
	}

	line("\n## The state\n")
	line("Flat float32 vectors. `%s` has %s elements, and so has each optimizer slot%s; `%s` has %s. Before the first step they are filled as `init` in the manifest says; slots with their own value.\n",
		artifact.Params, count(m.ParamCount()), slots(m), artifact.Stats, count(m.StatCount()))
	line("| vector | tensor | shape | offset | elements | starts as |\n| --- | --- | --- | ---: | ---: | --- |")
	for _, v := range []struct {
		name    string
		tensors []artifact.TensorInfo
	}{{artifact.Params, m.Parameters}, {artifact.Stats, m.Statistics}} {
		for i, t := range v.tensors {
			if i == listed {
				line("| `%s` | … and %d more, all in `%s` | | | | |", v.name, len(v.tensors)-listed, artifact.ManifestFile)
				break
			}
			kind := string(t.Init.Kind)
			if kind == "" {
				kind = "zeros"
			}
			line("| `%s` | `%s` | %s | %s | %s | %s |", v.name, t.Name, dims(t.Shape), count(t.Offset), count(t.Size), kind)
		}
	}
	line("\n## In Python\n\n`%s`:\n\n```python\n%s```", Python, python)
	line("\n## In Node\n\n`%s`:\n\n```js\n%s```", Node, node)
	return w.String(), nil
}

// listed is how many tensors of a vector the document lists.
const listed = 40

func slots(m *artifact.Manifest) string {
	if len(m.Slots) == 0 {
		return ""
	}
	var names []string
	for _, s := range m.Slots {
		names = append(names, fmt.Sprintf("`%s`, from %g", s.Name, s.Init))
	}
	return " (" + strings.Join(names, "; ") + ")"
}

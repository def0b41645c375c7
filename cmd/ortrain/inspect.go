package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime/job"
)

func (e *environment) inspect() *cli.Command {
	return command(&cli.Command{
		Name:      "inspect",
		Usage:     "describe a model, training artifacts or a run",
		ArgsUsage: "FILE|DIR",
		Description: `Of an ONNX file: inputs, outputs, operators, parameters, multiply-adds,
metadata. Of a folder: where each tensor lies in the state, and where the run
stands. Every model is also read by an independent ONNX reader, which checks
its structure. With --provider, node by node, what that provider would leave
to the CPU, according to the lists of its kernels.

  ortrain inspect runs/demo
  ortrain inspect runs/demo/model.onnx
  ortrain inspect --provider cuda runs/demo`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "list every tensor of the state, however many"},
			&cli.StringFlag{Name: "provider", Usage: "list the nodes that provider `NAME` (cuda) would leave to the CPU"},
			jsonFlag(),
		},
		Action: e.runInspect,
	})
}

func (e *environment) runInspect(c *cli.Context) error {
	if c.NArg() != 1 {
		return &usageError{"inspect", "give one model file or run folder"}
	}
	in, err := job.Inspect(c.Args().First())
	if err != nil {
		return err
	}
	if provider := c.String("provider"); provider != "" {
		list, err := in.Placements(provider)
		if err != nil {
			return err
		}
		if c.Bool("json") {
			return e.out.json(list)
		}
		e.printPlacements(provider, list)
		return nil
	}
	if c.Bool("json") {
		if err := e.out.json(in); err != nil {
			return err
		}
		return in.Err()
	}
	if in.Manifest != nil {
		e.printManifest(in)
	}
	for i := range in.Models {
		if i > 0 || in.Manifest != nil {
			e.out.println("")
		}
		e.printModel(&in.Models[i])
	}
	if in.Manifest != nil {
		e.printLayout(in.Manifest, c.Bool("all"))
	}
	return in.Err()
}

// field prints a name and what there is to say of it.
func (e *environment) field(name, format string, args ...any) {
	e.out.printf("  %s %s\n", e.out.faint(fmt.Sprintf("%-12s", name)), fmt.Sprintf(format, args...))
}

func (e *environment) printManifest(in *job.Inspection) {
	m := in.Manifest
	what := "training artifacts"
	if in.Kind == "run" {
		what = "training run"
	}
	e.out.println(e.out.bold(in.Path) + "  " + what)
	e.field("model", "%s%s, %d classes, images of %s", m.Model.Name, options(m.Model.Options), m.Model.Classes, dims(m.Model.Input[:]))
	frozen := ""
	if n := m.StatCount() - m.MovingCount(); n > 0 {
		frozen = count(n) + " frozen, "
	}
	e.field("cost", "%s parameters, %s running statistics, %s%s multiply-adds an image",
		count(m.ParamCount()), count(m.MovingCount()), frozen, short(m.Model.FLOPs))
	var hyper []string
	for _, h := range m.Hyper {
		hyper = append(hyper, h.Name)
	}
	e.field("optimizer", "%s%s, fed with %s", m.Optimizer.Name, options(m.Optimizer.Options), strings.Join(hyper, ", "))
	if len(m.Optimizer.Gradient) > 0 {
		e.field("gradient", "%s, then the optimizer", strings.Join(m.Optimizer.Gradient, ", "))
	}
	e.field("step", "batch %d, lowered for %s%s, opset %d, seed %d, by %s", m.Batch, m.Lowering, blocks(m.Block), m.Opset, m.Seed, m.Producer)
	e.field("hash", "%s", m.Hash)
	if r := in.Run; r != nil {
		e.printRun(r)
	}
}

// blocks says how a step's values lie in memory.
func blocks(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" in blocks of %d channels", n)
}

func (e *environment) printRun(r *job.RunState) {
	if r.Step == 0 {
		e.field("state", "no checkpoint yet")
		return
	}
	state := fmt.Sprintf("%s complete, %s", plural(r.Epoch, "epoch"), plural(r.Step, "step"))
	if r.BestAccuracy > 0 {
		state += ", best accuracy " + percent(r.BestAccuracy, 2)
	}
	e.field("state", "%s", state)
	if len(r.Checkpoints) > 0 {
		var steps []string
		for _, s := range r.Checkpoints {
			text := strconv.FormatInt(s.Step, 10)
			if s.Step == r.BestStep {
				text += " (best)"
			}
			steps = append(steps, text)
		}
		e.field("checkpoints", "after step %s", strings.Join(steps, ", "))
	}
	if l := r.Last; l != nil {
		e.field("last epoch", "loss %.4f, accuracy %s, held-out accuracy %s, %s images/s",
			l.TrainLoss, percent(l.TrainAccuracy, 2), percent(l.TestAccuracy, 2), count(int(l.ImagesPerSecond)))
	}
}

func (e *environment) printModel(m *job.Model) {
	e.out.println(e.out.bold(m.File) + "  " + fileSize(m.Bytes))
	var sets []string
	for domain, version := range m.Opsets {
		sets = append(sets, fmt.Sprintf("%s %d", domain, version))
	}
	slices.Sort(sets)
	e.field("graph", "%s by %s, operator sets %s, IR version %d", m.Graph, orUnknown(m.Producer), strings.Join(sets, ", "), m.IRVersion)
	for i, p := range m.Inputs {
		e.field(first(i, "inputs"), "%s", p)
	}
	for i, p := range m.Outputs {
		e.field(first(i, "outputs"), "%s", p)
	}
	e.field("parameters", "%s, and %s running statistics", count(m.Parameters), count(m.Statistics))
	if m.Cost.Unknown == "" {
		e.field("cost", "%s multiply-adds a run%s", short(m.Cost.FLOPs), perBatch(m))
	} else {
		e.field("cost", "at least %s multiply-adds a run; the shapes of %s are open", short(m.Cost.FLOPs), m.Cost.Unknown)
	}
	total := 0
	var ops []string
	for _, o := range m.Operators {
		total += o.Count
		ops = append(ops, fmt.Sprintf("%s %d", o.Operator, o.Count))
	}
	e.field("operators", "%s: %s", count(total), strings.Join(ops, ", "))
	if r := m.Structure; r != nil {
		e.field("structure", "ok (independent reader): %s values, %s operations, longest path %s",
			count(r.Values), count(r.Operations), count(r.Depth))
	} else if m.Own() {
		e.field("structure", "%s", e.out.red("broken: "+m.Problem))
	} else {
		e.field("structure", "not checked (independent reader): %s", m.Problem)
	}
	var keys []string
	for k := range m.Metadata {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		e.field(k, "%s", cut(oneLine(m.Metadata[k]), 160))
	}
}

// perBatch says what a run of a model is.
func perBatch(m *job.Model) string {
	for _, p := range m.Inputs {
		if len(p.Shape) == 4 {
			if n, err := strconv.Atoi(p.Shape[0]); err == nil {
				return " of " + plural(n, "image")
			}
			return " of 1 image"
		}
	}
	return ""
}

// fewTensors is how many tensors of the state are listed unasked.
const fewTensors = 40

func (e *environment) printLayout(m *artifact.Manifest, all bool) {
	var rows [][]string
	add := func(vector string, ts []artifact.TensorInfo) {
		for _, t := range ts {
			decay := ""
			if t.Decay {
				decay = "yes"
			}
			if t.Frozen {
				decay = "frozen"
			}
			rows = append(rows, []string{vector, t.Name, dims(t.Shape), count(t.Offset), count(t.Size), decay})
		}
	}
	add(artifact.Params, m.Parameters)
	add(artifact.Stats, m.Statistics)
	for _, r := range m.Random {
		rows = append(rows, []string{artifact.Noise, r.Name, dims(r.Shape), count(r.Offset), count(r.Size), ""})
	}
	var slots []string
	for _, s := range m.Slots {
		slots = append(slots, s.Name)
	}
	e.out.println("")
	e.out.printf("%s  flat float32 vectors: %s [%s]", e.out.bold("state"), artifact.Params, count(m.ParamCount()))
	for _, s := range slots {
		e.out.printf(", %s [%s]", s, count(m.ParamCount()))
	}
	e.out.printf(", %s [%s]\n", artifact.Stats, count(m.StatCount()))
	if m.NoiseCount() > 0 {
		e.out.printf("drawn anew for each step: %s [%s]\n", artifact.Noise, count(m.NoiseCount()))
	}
	hidden := 0
	if !all && len(rows) > fewTensors {
		hidden = len(rows) - fewTensors
		rows = rows[:fewTensors]
	}
	e.out.table([]string{"vector", "tensor", "shape", ">offset", ">size", "decay"}, rows)
	if hidden > 0 {
		e.out.printf("… and %s; --all lists them\n", plural(hidden, "more tensor"))
	}
}

func first(i int, name string) string {
	if i > 0 {
		return ""
	}
	return name
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown writer"
	}
	return s
}

func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

func dims[T ~[]int](shape T) string {
	parts := make([]string, len(shape))
	for i, d := range shape {
		parts[i] = strconv.Itoa(d)
	}
	return strings.Join(parts, "×")
}

// options writes switches as "(name value, …)" in order of name.
func options(o map[string]string) string {
	if len(o) == 0 {
		return ""
	}
	var list []string
	for k, v := range o {
		list = append(list, k+" "+v)
	}
	slices.Sort(list)
	return " (" + strings.Join(list, ", ") + ")"
}

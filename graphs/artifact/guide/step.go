package guide

import (
	"fmt"
	"strconv"

	"github.com/ortrain/ortrain/graphs/artifact"
)

// stepPurpose says in a line what the step's model does.
func stepPurpose(m *artifact.Manifest) string {
	const passes = "forward pass, loss, backward pass, update"
	switch {
	case m.Loop:
		return fmt.Sprintf("any number of training steps on %d images each: %s", m.Batch, passes)
	case m.Accumulate:
		return fmt.Sprintf("one part of a training step, on %d images: %s", m.Batch, passes)
	}
	return fmt.Sprintf("one training step on %d images: %s", m.Batch, passes)
}

// step explains how the step's model is run.
func step(line func(string, ...any), dir string, m *artifact.Manifest) error {
	line("\n## A step\n")
	line("Feed the state and a batch; keep each output `NAME%s` as the next run's `NAME`. That is all: nothing is hidden in the session.\n", artifact.OutSuffix)
	if err := ports(line, dir, m, artifact.StepFile); err != nil {
		return err
	}
	line("\nThe scalars, fed at every step, may change at every step (a schedule of the learning rate is just other numbers):\n")
	line("| scalar | value if you have no other |\n| --- | ---: |")
	for _, h := range m.Hyper {
		note := strconv.FormatFloat(float64(h.Default), 'g', -1, 32)
		switch h.Name {
		case "step":
			note = "the number of the step, from 1"
		case artifact.AverageShare:
			note = "1 − decay for an exponential average, 1 divided by the number of the step for the mean"
		}
		line("| `%s` | %s |", h.Name, note)
	}
	if m.Loop {
		line(`
### Several steps in one run

The model is an ONNX Loop around one step: a run takes as many steps as %[1]s says, any number from 1 on, and no two runs need take as many. What is not state has a first dimension of that many elements: the batches lie one behind the other, each scalar is a vector of its values, and the outputs that are not state hold one loss, one norm and one batch's logits for each step. State goes in as it is before the first step and comes out as it is after the last; it stays on the device in between. On a CPU one run of eight steps ends with the same bytes as eight runs of one.`, code(artifact.Steps))
	}
	if m.Accumulate {
		line(`
### A batch in parts

A step may take a larger batch in several runs, on %d images each. Feed %s with 1 divided by their number, and to the first run zeros as %s, to each later one what the run before has returned as %s. Of all runs but the last keep only that%s; feed the other state as it was before the step. The last run updates by the sum, which is the mean over all parts.`,
			m.Batch, code(artifact.GradientWeight), code(artifact.Gradients), code(artifact.Gradients+artifact.OutSuffix), andStats(m))
	}
	if m.Distillation != "" {
		line(`
### The teacher

The loss is %s·(loss of the targets) + %s·T²·(%s of the teacher's and the network's softmax, both at temperature T, %s).`,
			code(artifact.HardWeight), code(artifact.SoftWeight), softNames[m.Distillation], code(artifact.Temperature))
	}
	line("\n### A loss or a gradient that is not finite\n")
	line("%s", notFinite(m))
	if m.Average {
		line("\n### The average\n")
		line("Each step ends with %s += %s·(%s − %[1]s), and the same of the statistics, on the new state: also a step that left the state as it was.", code(artifact.AverageParams), code(artifact.AverageShare), code(artifact.Params))
	}
	return nil
}

var softNames = map[string]string{
	artifact.SoftCrossEntropy: "cross-entropy",
	artifact.SoftDivergence:   "Kullback-Leibler divergence",
}

// notFinite says what becomes of a step that goes wrong.
func notFinite(m *artifact.Manifest) string {
	const sign = "`" + artifact.Loss + "` and `" + artifact.GradientNorm + "` tell"
	each := ""
	if m.Loop {
		each = ", and the steps after it in the same run go on from there"
	}
	switch {
	case m.Precision != nil && m.Precision.Dynamic:
		return fmt.Sprintf("Such a step changes nothing but `%s`%s: its scale halves, and doubles again after %s good steps in a row. A gradient that does not fit into float16 is nothing to worry about; a loss that is not finite is, and a scale that has fallen to 1: %s.", artifact.LossScale, each, count(m.Precision.GrowthInterval), sign)
	case m.Precision != nil:
		return fmt.Sprintf("Such a step changes nothing but the last element of `%s`, which counts them%s: %s.", artifact.LossScale, each, sign)
	case m.Guard:
		return fmt.Sprintf("Such a step leaves the state as it was%s: %s.", each, sign)
	case m.Loop:
		return fmt.Sprintf("Nothing in the model looks for one: %s of the first such step, and all that follows is lost. Keep the state that went into the run, and go on from there.", sign)
	}
	return fmt.Sprintf("Nothing in the model looks for one: %s. Keep the state that went into the run, and go on from there.", sign)
}

// andStats names the statistics as something that is kept as well.
func andStats(m *artifact.Manifest) string {
	if m.StatCount() == 0 {
		return ""
	}
	return " and " + code(artifact.Stats+artifact.OutSuffix)
}

// averageStats says where the average's statistics are.
func averageStats(m *artifact.Manifest) string {
	switch n := m.MovingCount(); n {
	case 0:
		return ""
	case m.StatCount():
		return fmt.Sprintf(" and %s as %s", code(artifact.AverageStats), code(artifact.Stats))
	default:
		return fmt.Sprintf(" and %s in place of the first %s elements of %s (the others are frozen)", code(artifact.AverageStats), count(n), code(artifact.Stats))
	}
}

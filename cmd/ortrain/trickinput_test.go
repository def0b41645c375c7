package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestTricksOutOfRange: a trick's number out of range, tricks that contradict
// each other, a schedule that is longer than the run, a policy that is none:
// one line that names the key, or both tricks, before training starts, and
// nothing is written.
func TestTricksOutOfRange(t *testing.T) {
	ortest.Open(t)
	data, dir := bars(t), t.TempDir()
	policy := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return "augment=[{name: autoaugment, policy: " + path + "}]"
	}
	out := filepath.Join(dir, "run")
	for _, c := range []struct {
		settings []string
		want     string
	}{
		// probabilities
		{[]string{"augment=[{name: mirror, p: 2}]"}, "augment.0.p 2"},
		{[]string{"augment=[{name: random_erasing, p: -0.1}]"}, "augment.0.p -0.1"},
		{[]string{"mix=[{name: mixup, p: 1.5}]"}, "mix.0.p 1.5"},
		{[]string{"model.options.dropout=1.5"}, "dropout 1.5"},
		{[]string{"model.options.stochastic_depth=-1"}, "stochastic_depth -1"},
		{[]string{policy("p.yaml", "- [{op: Rotate, p: 1.5, magnitude: 2}]")}, "p.yaml:1 0.0.p 1.5"},
		// magnitudes
		{[]string{"augment=[{name: randaugment, magnitude: 40}]"}, "augment.0.magnitude 40"},
		{[]string{"augment=[{name: augmix, severity: 0}]"}, "augment.0.severity 0"},
		{[]string{policy("m.yaml", "- [{op: Rotate, magnitude: 12}]")}, "m.yaml:1 0.0.magnitude 12"},
		// ε, α, β, γ, T
		{[]string{"target.label_smoothing.epsilon=1"}, "target.label_smoothing.epsilon 1"},
		{[]string{"target.label_smoothing.epsilon=-0.1"}, "target.label_smoothing.epsilon -0.1"},
		{[]string{"mix=[{name: mixup, alpha: -1}]"}, "mix.0.alpha -1"},
		{[]string{"mix=[{name: cutmix, alpha: 1e9}]"}, "mix.0.alpha 1e+09"},
		{[]string{"mix=[{name: ricap, beta: -0.3}]"}, "mix.0.beta -0.3"},
		{[]string{"augment=[{name: augmix, alpha: 0}]"}, "augment.0.alpha 0"},
		{[]string{"target={class_weights: {form: effective, beta: 1}}"}, "target.class_weights.beta 1"},
		{[]string{"teacher.self=true", "average=ema", "teacher.alpha=2"}, "teacher.alpha 2"},
		{[]string{"teacher.self=true", "average=ema", "teacher.temperature=0"}, "teacher.temperature 0"},
		{[]string{"loss=focal", "focal.gamma=-1"}, "focal.gamma -1"},
		{[]string{"loss=focal_bce", "focal.alpha=1.5"}, "focal.alpha 1.5"},
		{[]string{"average={name: ema, decay: 1}"}, "average.decay 1"},
		{[]string{"gradient.clip_norm=-1"}, "gradient.clip_norm -1"},
		// a policy file with an unknown operation, and none at all
		{[]string{policy("o.yaml", "- [{op: Rotat, magnitude: 2}]")}, `o.yaml:1 "Rotat" "Rotate"?`},
		{[]string{"augment=[{name: autoaugment, policy: /nosuch.yaml}]"}, "augment.0.policy /nosuch.yaml"},
		// nothing to mix or to repeat
		{[]string{"batch=1", "mix=[mixup]"}, "mixup batch of 1"},
		{[]string{"data.repeats=3"}, "data.repeats 3"},
		// a schedule longer than the run
		{[]string{"schedule.warmup.steps=1000"}, "schedule.warmup 1000"},
		{[]string{"schedule.warmup={kind: constant, epochs: 2}"}, "schedule.warmup 2"},
		{[]string{"schedule.name=restarts", "schedule.first=20"}, "schedule.first 20"},
		{[]string{"schedule.name=step", "schedule.step_size=30"}, "schedule.step_size 30"},
		{[]string{"schedule.name=multistep", "schedule.milestones=[1, 60]"}, "schedule.milestones 60"},
		{[]string{"schedule.name=triangular", "schedule.half_cycle=50"}, "schedule.half_cycle 50"},
		// contradictions
		{[]string{"stop=early_stopping", "average=swa"}, "early_stopping swa"},
		{[]string{"loss=bce", "target={class_weights: {}}"}, "class_weights bce"},
		{[]string{"loss=focal_bce", "target={class_weights: {}}"}, "class_weights focal_bce"},
		{[]string{"mix=[{name: mixup, p: 1}, {name: cutmix, p: 0.5}]"}, "mixup cutmix"},
		{[]string{"augment=[cutout, crop]"}, "crop cutout"},
		{[]string{"focal.gamma=2"}, "focal loss"},
		{[]string{"augment=[{name: pca_colour, from: imagenet, values: [1, 1, 1]}]"}, "augment.0.values imagenet given"},
		{[]string{"optimizer.name=adam", "optimizer.momentum=0.9"}, "adam momentum"},
	} {
		args := []string{"train", "--data", "mnist", "--data-dir", data, "--model", "resnet8", "--epochs", "2", "--batch", "16", "--out", out}
		for _, s := range c.settings {
			args = append(args, "--set", s)
		}
		refused(t, args, words(c.want)...)
		if _, err := os.Stat(out); !os.IsNotExist(err) {
			t.Errorf("%v: a run folder was made", c.settings)
			os.RemoveAll(out)
		}
	}
}

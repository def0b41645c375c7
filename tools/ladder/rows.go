package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/ortrain/ortrain/tricks"
)

// row is one line of the ladder: what it changes in the baseline.
type row struct {
	name string
	// trick is the catalogue's name of the trick that the row is about; empty
	// where there is none, as in the baseline.
	trick string
	// lacks is the trick of the baseline that the row does without.
	lacks string
	// augment, if not nil, replaces the baseline's list of transforms.
	augment []string
	// settings are assignments to the recipe.
	settings []string
	// alone: the row is no candidate for the combinations.
	alone bool
}

// baselineAugment are the transforms of every row that does not say otherwise.
var baselineAugment = []string{"crop", "mirror"}

// searched is the policy that ortrain augment search found for CIFAR-10; its
// head says how.
const searched = "testdata/results/policy_cifar10.yaml"

// inBaseline are the tricks that the baseline has and of which there is no row
// without them.
var inBaseline = []string{"sgd", "batch_norm"}

// notMeasured are the tricks of which there is no row, and why.
var notMeasured = map[string]string{
	"distillation":    "it takes a trained teacher; see testdata/results for runs with one",
	"class_balanced":  "it is for data with rare classes, and the ladder's classes are balanced",
	"weighted":        "it is for data with rare classes, and the ladder's classes are balanced",
	"resize":          "it is no augmentation, and the ladder's images have one size",
	"shake_shake":     "it belongs to the Shake-Shake networks, which the ladder's budget is too small for",
	"shakedrop":       "it belongs to the PyramidNets, which the ladder's budget is too small for",
	"mixed_precision": "it is for the speed of a device, not for the error; testdata/results/mixed_precision.csv has losses of both precisions side by side",
	"auxiliary_head":  "it belongs to the AmoebaNets, which the ladder's budget is too small for",
}

// assignments returns the row's changes of the recipe.
func (r row) assignments() []string {
	augment := baselineAugment
	if r.augment != nil {
		augment = r.augment
	}
	return append([]string{"augment=[" + strings.Join(augment, ", ") + "]"}, r.settings...)
}

// spelled is how the results name the changes.
func (r row) spelled() string {
	list := r.assignments()
	if r.augment == nil {
		list = list[1:]
	}
	return strings.Join(list, "; ")
}

// kind returns what the row's trick acts on.
func (r row) kind() tricks.Kind {
	name := r.trick
	if name == "" {
		name = r.lacks
	}
	t, err := tricks.Lookup(name)
	if err != nil {
		return ""
	}
	return t.Kind
}

// rows returns the baseline and every trick alone. Lengths that are counted in
// epochs grow with the run.
func (c config) rows() []row {
	after := float64(c.Epochs - 1) // the warm-up takes one
	first, second := baselineAugment[0], baselineAugment[1]
	// with puts a transform behind the baseline's.
	with := func(trick string) row {
		return row{name: trick, trick: trick, augment: []string{first, second, trick}}
	}
	set := func(trick string, settings ...string) row {
		return row{name: trick, trick: trick, settings: settings}
	}
	return []row{
		{name: "baseline"},

		{name: "without crop", lacks: "crop", augment: []string{"mirror"}},
		{name: "without mirror", lacks: "mirror", augment: []string{"crop"}},
		with("augmix"),
		with("autoaugment"),
		{name: "autoaugment and cutout", trick: "autoaugment", augment: []string{first, second, "autoaugment", "cutout"}},
		{name: "autoaugment by the searched policy", trick: "autoaugment", augment: []string{"{name: autoaugment, policy: " + searched + "}", first, second}},
		with("colour_jitter"),
		with("cutout"),
		with("grayscale"),
		with("gridmask"),
		with("hide_and_seek"),
		with("pca_colour"),
		{name: "pca_colour of the data", trick: "pca_colour", augment: []string{first, second, "{name: pca_colour, from: data}"}},
		with("randaugment"),
		with("random_erasing"),
		{name: "random_resized_crop", trick: "random_resized_crop", augment: []string{"{name: random_resized_crop, area_min: 0.25}", "mirror"}},
		with("rotation"),
		with("three_augment"),
		with("trivialaugment_wide"),

		set("mixup", "mix=[{name: mixup, alpha: 1}]"),
		set("cutmix", "mix=[{name: cutmix, p: 0.5}]"),
		{name: "mixup or cutmix, off for the last fifth", trick: "mixup",
			settings: []string{fmt.Sprintf("mix=[{name: mixup, alpha: 1, off_epochs: %d}, {name: cutmix, off_epochs: %[1]d}]", c.Epochs/5)}},
		set("ricap", "mix=[ricap]"),
		set("repeated_augmentation", "data.repeats=2"),

		set("label_smoothing", "target={label_smoothing: {epsilon: 0.1}}"),
		{name: "label_smoothing in the survey's form", trick: "label_smoothing",
			settings: []string{"target={label_smoothing: {epsilon: 0.1, form: survey}}"}},
		set("bce", "loss=bce", "schedule.lr=0.5"),
		set("self_distillation", "average={name: ema, decay: 0.99}", "teacher.self=true"),
		{name: "born_again (twice the epochs)", trick: "born_again", settings: []string{"teacher.generations=2"}, alone: true},
		set("focal", "loss=focal"),
		{name: "focal, of each class's sigmoid", trick: "focal", settings: []string{"loss=focal_bce", "schedule.lr=0.5"}},
		{name: "class_weights (the classes are balanced)", trick: "class_weights", settings: []string{"target={class_weights: {form: balanced}}"}, alone: true},

		set("agc", "gradient.agc=0.01"),
		set("clip_norm", "gradient.clip_norm=1"),
		set("clip_value", "gradient.clip_value=0.1"),
		set("dropout", "model.options.dropout=0.1"),
		set("ema", "average={name: ema, decay: 0.99}"),
		set("gradient_accumulation", "accumulate=2"),
		{name: "initialisation: Xavier", lacks: "initialisation", settings: []string{"model.options.init=xavier_normal"}},
		set("l1", "gradient.l1=1e-5"),
		set("stochastic_depth", "model.options.stochastic_depth=0.1"),
		set("squeeze_excitation", "model.options.se=true"),
		set("swa", "average={name: swa, start: 0.75}"),
		{name: "without weight_decay", lacks: "weight_decay", settings: []string{"optimizer.weight_decay=0"}},
		{name: "weight_decay 5e-4", trick: "weight_decay", settings: []string{"optimizer.weight_decay=0.0005"}},
		set("zero_gamma", "model.options.zero_gamma=true"),

		{name: "constant", trick: "constant", lacks: "cosine", settings: []string{"schedule.name=constant"}},
		set("exponential", "schedule.name=exponential", fmt.Sprintf("schedule.gamma=%.4g", math.Pow(0.01, 1/after))),
		set("multistep", "schedule.name=multistep"),
		set("one_cycle", "schedule.name=one_cycle", "schedule.warmup=none"),
		set("plateau", "schedule.name=plateau", "schedule.metric=validation_loss", fmt.Sprintf("schedule.patience=%d", max(1, c.Epochs/10))),
		set("polynomial", "schedule.name=polynomial"),
		set("restarts", "schedule.name=restarts", fmt.Sprintf("schedule.first=%.6g", after/7)), // cycles of 1, 2 and 4 sevenths
		set("step", "schedule.name=step", fmt.Sprintf("schedule.step_size=%.6g", float64(c.Epochs)/3)),
		set("triangular", "schedule.name=triangular", fmt.Sprintf("schedule.half_cycle=%.6g", after/4)),
		{name: "without warm-up", lacks: "gradual_warmup", settings: []string{"schedule.warmup=none"}},
		set("constant_warmup", "schedule.warmup={kind: constant, epochs: 1}"),
		set("until_error_warmup", "schedule.warmup={kind: until_error}"),

		set("adabound", "optimizer.name=adabound", "schedule.lr=0.001"),
		set("adam", "optimizer.name=adam", "schedule.lr=0.003"),
		set("adamw", "optimizer.name=adamw", "schedule.lr=0.003", "optimizer.weight_decay=0.05"),
		set("amsbound", "optimizer.name=amsbound", "schedule.lr=0.001"),
		set("lamb", "optimizer.name=lamb", "schedule.lr=0.01"),
		set("lars", "optimizer.name=lars", "schedule.lr=5"),
		set("lion", "optimizer.name=lion", "schedule.lr=0.0005", "optimizer.weight_decay=0.1"),
		set("muon", "optimizer.name=muon", "schedule.lr=0.02", "optimizer.options.aux_lr_ratio=0.15"),
		set("rmsprop", "optimizer.name=rmsprop", "schedule.lr=0.002"),

		{name: "early_stopping", trick: "early_stopping", alone: true,
			settings: []string{fmt.Sprintf("stop={name: early_stopping, patience: %d}", max(2, c.Epochs/5))}},
	}
}

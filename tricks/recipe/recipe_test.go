package recipe

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/strict"
	"github.com/ortrain/ortrain/tricks/target"
)

func init() {
	RegisterDataSet(DataSet{Name: "cifar10", Mean: []float64{0.4914, 0.4822, 0.4465}, Std: []float64{0.247, 0.2435, 0.2616},
		Augment: Augment{{Name: "crop"}, {Name: "mirror"}}})
	RegisterDataSet(DataSet{Name: "mnist", Mean: []float64{0.1307}, Std: []float64{0.3081}})
}

func parse(t *testing.T, text string) *Recipe {
	t.Helper()
	r, err := Parse([]byte(text), "r.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func resolve(t *testing.T, r *Recipe) *Recipe {
	t.Helper()
	full, err := r.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return full
}

func marshal(t *testing.T, r *Recipe) string {
	t.Helper()
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const everything = `seed: 7
epochs: 90
batch: 256
limit: 5000
threads: 2
provider: cpu
data:
  name: cifar10
  dir: /somewhere
  train_files: [a.bin, b.bin]
  test_files: test_batch_jpeg.bin
  validation: 0.1
  mean: [0.5, 0.5, 0.5]
  std: [0.25, 0.25, 0.25]
  workers: 3
model:
  name: resnet56
  options: {shortcut: B, preactivation: true}
optimizer:
  name: sgd
  momentum: 0.95
  nesterov: true
  weight_decay: 5e-4
  decay_norm_and_bias: true
  options: {dampening: 0}
schedule:
  name: multistep
  lr: 0.1
  linear_scaling: true
  warmup: {kind: constant, steps: 400, factor: 0.2}
  milestones: [30, 60, 80]
  gamma: 0.2
augment:
  - name: crop
    padding: 2
    border: reflect
  - mirror
  - {name: cutout, size: 8}
target:
  label_smoothing: {epsilon: 0.2, form: survey}
checkpoint: {every: 5, minutes: 7.5, keep: 3, keep_best: true}
`

func TestParse(t *testing.T) {
	r := parse(t, everything)
	want := &Recipe{
		Seed: 7, Epochs: 90, Batch: 256, Limit: 5000, Threads: 2, Provider: "cpu",
		Data: Data{Name: "cifar10", Dir: "/somewhere", TrainFiles: []string{"a.bin", "b.bin"}, TestFiles: []string{"test_batch_jpeg.bin"},
			Validation: 0.1, Mean: []float64{0.5, 0.5, 0.5}, Std: []float64{0.25, 0.25, 0.25}, Workers: 3},
		Model:     Model{Name: "resnet56", Options: map[string]string{"shortcut": "B", "preactivation": "true"}},
		Optimizer: Optimizer{Name: "sgd", Momentum: number(0.95), Nesterov: true, WeightDecay: number(5e-4), DecayNormAndBias: true, Options: map[string]string{"dampening": "0"}},
		Schedule: Schedule{Name: "multistep", LR: 0.1, LinearScaling: true,
			Warmup:  Warmup{Kind: "constant", Options: map[string]any{"steps": 400, "factor": 0.2}},
			Options: map[string]any{"milestones": []any{30, 60, 80}, "gamma": 0.2}},
		Augment: Augment{{Name: "crop", Options: map[string]any{"padding": 2, "border": "reflect"}}, {Name: "mirror"},
			{Name: "cutout", Options: map[string]any{"size": 8}}},
		Target:     Target{Tricks: map[string]any{"label_smoothing": map[string]any{"epsilon": 0.2, "form": "survey"}}},
		Checkpoint: Checkpoint{Every: 5, Minutes: 7.5, Keep: 3, KeepBest: true},
	}
	r.file, r.lines = "", nil
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v\nwant %+v", r, want)
	}
}

const resolvedDefault = `seed: 0
epochs: 10
batch: 128
limit: 0
threads: 0
provider: cpu
data:
  name: cifar10
  dir: ""
  train_files: []
  test_files: []
  validation: 0
  mean: [0.4914, 0.4822, 0.4465]
  std: [0.247, 0.2435, 0.2616]
  workers: 0
model:
  name: resnet20
optimizer:
  name: sgd
  momentum: 0.9
  nesterov: false
  weight_decay: 0.0001
  decay_norm_and_bias: false
schedule:
  name: cosine
  lr: 0.1
  linear_scaling: false
  warmup:
    kind: gradual
    epochs: 1
    from: 0
    steps: 0
  floor: 0
augment:
  - name: crop
    border: zero
    padding: 4
    size: 0
  - name: mirror
    p: 0.5
checkpoint:
  every: 1
  keep: 2
`

func TestResolveFillsInEverything(t *testing.T) {
	if got := marshal(t, resolve(t, Default())); got != resolvedDefault {
		t.Errorf("got\n%s\nwant\n%s", got, resolvedDefault)
	}
	r := parse(t, "data: {name: mnist}\nepochs: 2")
	full := resolve(t, r)
	if full.Augment == nil || len(full.Augment) != 0 || full.Data.Mean[0] != 0.1307 {
		t.Errorf("mnist: augment %v, mean %v", full.Augment, full.Data.Mean)
	}
	if got := full.Schedule.Warmup.Options["epochs"]; got != 0.4 {
		t.Errorf("warm-up of a run of 2 epochs: %v", got)
	}
	if r.Augment != nil || r.Data.Mean != nil || r.Schedule.Options != nil {
		t.Error("Resolve changed its receiver")
	}
	none := resolve(t, parse(t, "augment: []\nschedule: {warmup: none}"))
	if len(none.Augment) != 0 || none.Schedule.Warmup.Kind != NoWarmup {
		t.Errorf("explicit nothing: %+v", none)
	}
	if got := resolve(t, parse(t, marshal(t, none))); len(got.Augment) != 0 || got.Schedule.Warmup.Kind != NoWarmup {
		t.Errorf("explicit nothing, read back: %+v", got)
	}
}

func TestResolveAndMarshalAreIdempotent(t *testing.T) {
	for _, text := range []string{"", everything, "schedule: {name: one_cycle, warmup: none}", "data: {name: mnist}",
		"schedule: {name: plateau, warmup: {kind: until_error, error: 0.5}}", "schedule: {name: restarts, first: 1.5}",
		"schedule: {warmup: {multiplier: 8}}", "target: {label_smoothing: {}}", "optimizer: {weight_decay: 1e-10}"} {
		full := resolve(t, parse(t, text))
		once := marshal(t, full)
		if again := marshal(t, resolve(t, full)); again != once {
			t.Errorf("resolving twice:\n%s\n%s", once, again)
		}
		back := resolve(t, parse(t, once))
		if again := marshal(t, back); again != once {
			t.Errorf("reading back:\n%s\n%s", once, again)
		}
		a, err := full.Hash()
		b, _ := back.Hash()
		if a != b || err != nil || len(a) != 64 {
			t.Errorf("hashes %s, %s, %v", a, b, err)
		}
	}
}

func TestHash(t *testing.T) {
	hash := func(text string) string {
		h, err := parse(t, text).Hash()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	base := hash("")
	for _, same := range []string{"schedule: {floor: 0}", "augment: [crop, mirror]", "data: {workers: 4, dir: /x}", "checkpoint: {every: 3}", "checkpoint: {minutes: 1, keep: 5, keep_best: true}"} {
		if hash(same) != base {
			t.Errorf("%s changes the hash", same)
		}
	}
	for _, other := range []string{"seed: 1", "augment: [mirror, crop]", "schedule: {floor: 1e-9}", "data: {validation: 0.1}"} {
		if hash(other) == base {
			t.Errorf("%s does not change the hash", other)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"epoch: 3", `r.yaml:1: epoch: unknown key; did you mean "epochs"?`},
		{"seed: 1\noptimizer:\n  wieght_decay: 1", `r.yaml:3: optimizer.wieght_decay: unknown key; did you mean "weight_decay"?`},
		{"batch: large", `r.yaml:1: batch: expected an integer, found the string "large"`},
		{"schedule:\n  lr: fast", `r.yaml:2: schedule.lr: expected a number, found the string "fast"`},
		{"schedule: [cosine]", `r.yaml:1: schedule: expected a mapping, found a list`},
		{"schedule:\n  name: cosin", `r.yaml:2: schedule.name: unknown schedule "cosin"; did you mean "cosine"?`},
		{"schedule:\n  name: step\n  step_size: 30\n  gama: 0.1", `r.yaml:4: schedule.gama: unknown key; did you mean "gamma"?`},
		{"schedule:\n  name: step\n  gamma: high", `r.yaml:3: schedule.gamma: expected a number, found the string "high"`},
		{"schedule:\n  name: step\n  gamma: 3", `r.yaml:3: schedule.gamma: must be above 0 and at most 1, got 3`},
		{"schedule:\n  floor: 0.1\n  lr: 1\n  milestones: [3]", `r.yaml:4: schedule.milestones: unknown key; valid: floor`},
		{"schedule:\n  warmup:\n    kind: gradul", `r.yaml:3: schedule.warmup.kind: unknown warmup "gradul"; did you mean "gradual"?`},
		{"schedule:\n  warmup:\n    epoch: 2", `r.yaml:3: schedule.warmup.epoch: unknown key; did you mean "epochs"?`},
		{"schedule: {warmup: {kind: none, epochs: 1}}", `r.yaml:1: schedule.warmup.epochs: unknown key: there is no warm-up`},
		{"augment:\n  - crop\n  - miror", `r.yaml:3: augment.1: unknown pixel trick "miror"; did you mean "mirror"?`},
		{"augment:\n  - name: crop\n    pad: 4", `r.yaml:3: augment.0.pad: unknown key; valid: padding, size, border`},
		{"augment:\n  - name: crop\n    padding: wide", `r.yaml:3: augment.0.padding: expected an integer, found the string "wide"`},
		{"augment:\n  - padding: 4", `r.yaml:2: augment.0: needs a name`},
		{"augment: crop", `r.yaml:1: augment: expected a list, found the string "crop"`},
		{"target:\n  label_smooth: {}", `r.yaml:2: target.label_smooth: unknown target trick "label_smooth"; did you mean "label_smoothing"?`},
		{"target:\n  label_smoothing: 0.1", `r.yaml:2: target.label_smoothing: expected a mapping, such as {epsilon: …}`},
		{"target:\n  label_smoothing:\n    epsilon: 1", `r.yaml:3: target.label_smoothing.epsilon: must be at least 0 and below 1, got 1`},
		{"target:\n  label_smoothing:\n    eps: 0.1", `r.yaml:3: target.label_smoothing.eps: unknown key; valid: epsilon, form`},
		{"seed: [", `r.yaml:1: not valid YAML: did not find expected node content`},
		{"\xff", `r.yaml: not valid YAML: invalid leading UTF-8 octet`},
	}
	for _, tt := range tests {
		_, err := Parse([]byte(tt.text), "r.yaml")
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"epochs: 0", "r.yaml:1: epochs: must be 1 to 1000000, got 0"},
		{"batch: 0", "r.yaml:1: batch: must be 1 to 1048576, got 0"},
		{"limit: -1", "r.yaml:1: limit: must not be negative, got -1"},
		{"limit: 100", "r.yaml:1: limit: 100 images are fewer than one batch of 128; raise it or lower batch"},
		{"threads: -1", "r.yaml:1: threads: must be 0 (one per core) to 4096, got -1"},
		{"provider: ''", `r.yaml:1: provider: must be a name, such as cpu, got ""`},
		{"data: {name: cifar}", `r.yaml:1: data.name: unknown data set "cifar"; did you mean "cifar10"?`},
		{"data: {validation: 1.5}", "r.yaml:1: data.validation: must be a share below 1 or a whole number of images, got 1.5"},
		{"data: {mean: [0.5]}", "data.std: has 3 channels, data.mean has 1"},
		{"data: {std: [1, 0, 1]}", "r.yaml:1: data.std: must be above 0, got [1 0 1]"},
		{"optimizer: {momentum: 1}", "r.yaml:1: optimizer.momentum: must be at least 0 and below 1, got 1"},
		{"optimizer: {momentum: 0, nesterov: true}", "r.yaml:1: optimizer.nesterov: needs a momentum above 0"},
		{"optimizer: {weight_decay: -1}", "r.yaml:1: optimizer.weight_decay: must not be negative, got -1"},
		{"schedule:\n  lr: 0", "r.yaml:2: schedule.lr: must be above 0, got 0"},
		{"epochs: 3\nschedule: {warmup: {epochs: 3}}", "r.yaml:2: schedule.warmup.epochs: the warm-up takes 3 epochs but the run has only 3; shorten it or train longer"},
		{"checkpoint: {keep: 0}", "r.yaml:1: checkpoint.keep: must be at least 1, got 0"},
		{"checkpoint: {minutes: -1}", "r.yaml:1: checkpoint.minutes: must be 0 (by epochs only) to 525600 minutes, got -1"},
		{"checkpoint: {every: 0}", "r.yaml:1: checkpoint.every: must be at least 1 epoch, got 0"},
	}
	for _, tt := range tests {
		err := parse(t, tt.text).Validate()
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.yaml")
	if _, err := Load(path); !os.IsNotExist(errors.Unwrap(err)) {
		t.Errorf("missing: %v", err)
	}
	if err := os.WriteFile(path, []byte(everything), 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := Load(path); err != nil || r.Epochs != 90 {
		t.Error(err)
	}
}

// Every trick that a recipe can name has a card of the same form.
func TestCards(t *testing.T) {
	all := tricks.All("")
	if len(all) < 15 {
		t.Errorf("only %d tricks registered", len(all))
	}
	for _, trick := range all {
		if !strings.HasPrefix(trick.Card, "# "+trick.Name+"\n") || !strings.Contains(trick.Card, "**Keys**") || !strings.Contains(trick.Card, "**Source**") {
			t.Errorf("%s: the card needs a title, its keys and its source", trick.Name)
		}
		if strings.HasSuffix(trick.Summary, ".") || strings.Contains(trick.Summary, "\n") {
			t.Errorf("%s: the summary is one line without a full stop", trick.Name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(everything)
	f.Add(resolvedDefault)
	f.Add("schedule: {name: restarts, first: 1.5, growth: 3}")
	f.Add("target: {label_smoothing: {epsilon: 0.1}}\naugment: [cutout]")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse([]byte(text), "f")
		if err == nil {
			var full *Recipe
			if full, err = r.Resolve(); err == nil {
				once := marshal(t, full)
				back, err := Parse([]byte(once), "g")
				if err != nil {
					t.Fatalf("a marshalled recipe does not parse: %v\n%s", err, once)
				}
				if again := marshal(t, resolve(t, back)); again != once {
					t.Fatalf("not a round trip:\n%s\n%s", once, again)
				}
				if s, err := full.BuildSchedule(3); err == nil {
					for _, step := range []int{0, 1, 7, 1 << 20} {
						if lr := s.LR(step); math.IsNaN(lr) || lr < 0 {
							t.Fatalf("LR(%d) = %v", step, lr)
						}
					}
				}
				full.BuildAugment(pixel.Size{W: 32, H: 32, C: 3})
				full.BuildTarget(target.Info{Classes: 10})
			}
		}
		if err != nil {
			var e *strict.Error
			if !errors.As(err, &e) || strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%T: %q", err, err)
			}
		}
	})
}

// TestMistypedSectionKey: a key that is close to one of the section's own, not
// of the trick's options, gets that one suggested.
func TestMistypedSectionKey(t *testing.T) {
	for setting, want := range map[string]string{
		"schedule.lrr=1":            `schedule.lrr: unknown key; did you mean "lr"?`,
		"schedule.flor=1":           `schedule.flor: unknown key; did you mean "floor"?`,
		"schedule.linear_scalin=1":  `schedule.linear_scalin: unknown key; did you mean "linear_scaling"?`,
		"schedule.warmup.epoch=0.5": `schedule.warmup.epoch: unknown key; did you mean "epochs"?`,
	} {
		r := Default()
		err := r.Set(setting)
		if err == nil {
			err = r.Validate()
		}
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", setting, err, want)
		}
	}
}

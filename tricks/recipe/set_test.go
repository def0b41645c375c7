package recipe

import (
	"strings"
	"testing"
)

func TestSet(t *testing.T) {
	tests := []struct {
		base string
		sets []string
		want string // the recipe that says the same
	}{
		{"", []string{"schedule.lr=0.05"}, "schedule: {lr: 0.05}"},
		{"", []string{"epochs=3", "seed=18446744073709551615"}, "epochs: 3\nseed: 18446744073709551615"},
		{"", []string{"data.dir=/tmp/a b", "model.name=resnet8"}, "data: {dir: /tmp/a b}\nmodel: {name: resnet8}"},
		{"", []string{"data.dir=123"}, "data: {dir: '123'}"},
		{"data: {dir: x}", []string{"data.dir="}, ""},
		{"", []string{"data.test_files=*.bin"}, "data: {test_files: ['*.bin']}"},
		{"", []string{"data.test_files=[a, b]"}, "data: {test_files: [a, b]}"},
		{"", []string{"model.options.shortcut=B", "model.options.depth=3"}, "model: {options: {shortcut: B, depth: 3}}"},
		{"", []string{"schedule.gamma=0.5", "schedule.name=step"}, "schedule: {name: step, gamma: 0.5}"},
		{"", []string{"schedule={name: step, gamma: 0.5}"}, "schedule: {name: step, gamma: 0.5}"},
		{"schedule: {floor: 0.001}", []string{"schedule.name=step"}, "schedule: {name: step}"},
		{"schedule: {floor: 0.001}", []string{"schedule.name=polynomial"}, "schedule: {name: polynomial, floor: 0.001}"},
		{"", []string{"schedule.warmup=none"}, "schedule: {warmup: none}"},
		{"schedule: {warmup: {epochs: 2}}", []string{"schedule.warmup.kind=none"}, "schedule: {warmup: none}"},
		{"schedule: {warmup: {epochs: 2}}", []string{"schedule.warmup.kind=constant"}, "schedule: {warmup: {kind: constant, epochs: 2}}"},
		{"", []string{"schedule.warmup.epochs=2"}, "schedule: {warmup: {epochs: 2}}"},
		{"", []string{"augment=[crop, {name: cutout, size: 8}]"}, "augment: [crop, {name: cutout, size: 8}]"},
		{"", []string{"augment=[]"}, "augment: []"},
		{"", []string{"augment.crop.padding=2"}, "augment: [{name: crop, padding: 2}, mirror]"},
		{"", []string{"augment.1.p=0.25"}, "augment: [crop, {name: mirror, p: 0.25}]"},
		{"augment: [{name: crop, padding: 2}]", []string{"augment.0.name=cutout"}, "augment: [cutout]"},
		{"", []string{"target.label_smoothing.epsilon=0.1"}, "target: {label_smoothing: {epsilon: 0.1}}"},
		{"target: {label_smoothing: {}}", []string{"target={}"}, ""},
	}
	for _, tt := range tests {
		r := parse(t, tt.base)
		for _, s := range tt.sets {
			if err := r.Set(s); err != nil {
				t.Errorf("%q: %v", s, err)
			}
		}
		got, want := marshal(t, resolve(t, r)), marshal(t, resolve(t, parse(t, tt.want)))
		if got != want {
			t.Errorf("%q on %q:\n%s\nwant\n%s", tt.sets, tt.base, got, want)
		}
	}
	// A resolved recipe can be changed as well.
	r := resolve(t, Default())
	if err := r.Set("schedule.name=step"); err != nil {
		t.Fatal(err)
	}
	resolve(t, r)
}

func TestSetErrors(t *testing.T) {
	tests := []struct{ set, want string }{
		{"epochs", `expected key=value, found "epochs"`},
		{"=3", `expected key=value, found "=3"`},
		{"epoch=3", `epoch: unknown key; did you mean "epochs"?`},
		{"optimizer.wd=3", `optimizer.wd: unknown key; valid: name, momentum, nesterov, weight_decay, decay_norm_and_bias, options`},
		{"batch=many", `batch: expected an integer, found the string "many"`},
		{"batch=", `batch: expected an integer, found the string ""`},
		{"schedule.lr.x=1", `schedule.lr: is a single value and has no key "x"`},
		{"a..b=1", `not a dotted key: "a..b"`},
		{"augment.2.p=1", `augment.2: the list has 2 items, numbered from 0`},
		{"augment.miror.p=1", `augment.miror: no such item in the list; did you mean "mirror"?`},
		{"data=5", `data: expected a mapping, found 5`},
		{"seed=&a 5", `seed: anchors and aliases are not supported`},
	}
	for _, tt := range tests {
		r := parse(t, "seed: 5")
		before := marshal(t, r)
		if err := r.Set(tt.set); err == nil || err.Error() != tt.want {
			t.Errorf("%q:\n got %v\nwant %s", tt.set, err, tt.want)
		}
		if marshal(t, r) != before {
			t.Errorf("%q failed but changed the recipe", tt.set)
		}
	}
	// What Set lets through, Resolve catches, and it is not the file's fault.
	for _, tt := range []struct{ set, want string }{
		{"schedule.gama=0.1", "schedule.gama: unknown key; valid: floor"},
		{"schedule.name=stpe", `schedule.name: unknown schedule "stpe"; did you mean "step"?`},
		{"schedule.lr=-1", "schedule.lr: must be above 0, got -1"},
		{"schedule.warmup.epochs=200", "schedule.warmup.epochs: the warm-up takes 200 epochs but the run has only 10; shorten it or train longer"},
		{"augment=[crop, {name: mirror, q: 1}]", "augment.1.q: unknown key; valid: p"},
	} {
		r := parse(t, "schedule: {name: cosine, lr: 0.1, warmup: {epochs: 1}}\naugment: [crop]")
		if err := r.Set(tt.set); err != nil {
			t.Errorf("%q: %v", tt.set, err)
			continue
		}
		if err := r.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("%q:\n got %v\nwant %s", tt.set, err, tt.want)
		}
	}
}

func FuzzSet(f *testing.F) {
	f.Add("schedule.lr=0.1")
	f.Add("augment.crop.padding=[1, 2]")
	f.Add("target={label_smoothing: {epsilon: 0.1}}")
	f.Add("data.mean=[.5]")
	f.Fuzz(func(t *testing.T, set string) {
		r := Default()
		if err := r.Set(set); err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%q", err)
			}
			return
		}
		if full, err := r.Resolve(); err == nil {
			marshal(t, full)
		} else if strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("%q", err)
		}
	})
}

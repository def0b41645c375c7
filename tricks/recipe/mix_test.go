package recipe

import (
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/target"
)

func TestMix(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"mix: [mixup]", "mix: [{name: mixup, p: 1, alpha: 0.2, mode: batch}]"},
		{"mix: mixup", ""}, // not a list
		{"mix: [mixup, {name: cutmix, mode: pair}]", "mix: [{name: mixup, p: 0.5, alpha: 0.2, mode: batch}, {name: cutmix, p: 0.5, alpha: 1, mode: pair}]"},
		{"mix: [{name: mixup, p: 0.2}, cutmix, ricap]", "mix: [{name: mixup, p: 0.2, alpha: 0.2, mode: batch}, {name: cutmix, p: 0.4, alpha: 1, mode: batch}, {name: ricap, p: 0.4, beta: 0.3, mode: batch}]"},
		{"mix: [{name: mixup, alpha: 1.0, p: 0.5, off_epochs: 3}]", "mix: [{name: mixup, p: 0.5, off_epochs: 3, alpha: 1, mode: batch}]"},
		{"mix: []", "seed: 0"},
	} {
		if tt.want == "" {
			if _, err := Parse([]byte(tt.text), "r.yaml"); err == nil || err.Error() != `r.yaml:1: mix: expected a list, found the string "mixup"` {
				t.Errorf("%s: %v", tt.text, err)
			}
			continue
		}
		got, want := resolve(t, parse(t, tt.text)), resolve(t, parse(t, tt.want))
		if marshal(t, got) != marshal(t, want) {
			t.Errorf("%s:\n%s\nwant\n%s", tt.text, marshal(t, got), marshal(t, want))
		}
		if s, err := got.BuildMix(); err != nil || (s == nil) != (len(got.Mix) == 0) {
			t.Errorf("%s: %v, %v", tt.text, s, err)
		}
		if again := resolve(t, parse(t, marshal(t, got))); marshal(t, again) != marshal(t, got) {
			t.Errorf("%s: not stable", tt.text)
		}
	}
}

func TestMixErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"mix: [mixpu]", `r.yaml:1: mix.0: unknown batch trick "mixpu"; did you mean "mixup"?`},
		{"mix: [cutout]", `r.yaml:1: mix.0: cutout is no mixing trick: list it under augment`},
		{"mix: [repeated_augmentation]", `r.yaml:1: mix.0: repeated_augmentation is no mixing trick: it is set by data.repeats`},
		{"mix: [label_smoothing]", `r.yaml:1: mix.0: label_smoothing is no mixing trick: name it under target`},
		{"mix:\n  - {p: 1}", `r.yaml:2: mix.0: needs a name`},
		{"mix:\n  - name: mixup\n    alpha: -1", `r.yaml:3: mix.0.alpha: must be 0 (off) to 1000, got -1`},
		{"mix:\n  - name: mixup\n    beta: 1", `r.yaml:3: mix.0.beta: unknown key; valid: alpha, mode`},
		{"mix:\n  - name: ricap\n    mode: pair", `r.yaml:3: mix.0.mode: unknown mode "pair"; valid: batch, element`},
		{"mix:\n  - name: mixup\n    p: 1.5", `r.yaml:3: mix.0.p: must be 0 to 1, got 1.5`},
		{"mix:\n  - name: mixup\n    p: many", `r.yaml:3: mix.0.p: expected a number, found the string "many"`},
		{"mix:\n  - {name: mixup, off_epochs: 11}", `r.yaml:2: mix.0.off_epochs: must be 0 to the run's 10 epochs, got 11`},
		{"mix:\n  - {name: mixup, p: 1}\n  - {name: cutmix, p: 0.5}", `r.yaml:3: mix.1.p: mixup (p 1) and cutmix (p 0.5) claim the same batches: a batch is mixed by one of them, and the p of all must sum to at most 1, not 1.5`},
		{"mix:\n  - {name: mixup, p: 1}\n  - cutmix", `r.yaml:3: mix.1: the other tricks' p leave no batch for cutmix; lower them or give its p`},
		{"batch: 1\nmix: [ricap]", `r.yaml:2: mix: ricap has nothing to mix in a batch of 1; raise batch or leave it out`},
		{"data: {repeats: 3}", `r.yaml:1: data.repeats: a batch of 128 cannot show every image 3 times; make it a multiple`},
		{"data: {repeats: -1}", `r.yaml:1: data.repeats: must be 0 to the batch, got -1`},
		{"target: {class_weights: {weights: [1, 2]}}", `r.yaml:1: target.class_weights.weights: given, but form balanced computes them; say form: given`},
	} {
		r, err := Parse([]byte(tt.text), "r.yaml")
		if err == nil {
			err = r.Validate()
		}
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

func TestSetMix(t *testing.T) {
	r := parse(t, "mix: [{name: mixup, alpha: 1}]")
	for _, s := range []string{"mix.mixup.p=0.25", "mix.0.off_epochs=2"} {
		if err := r.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	want := resolve(t, parse(t, "mix: [{name: mixup, alpha: 1, p: 0.25, off_epochs: 2}]"))
	if got := resolve(t, r); marshal(t, got) != marshal(t, want) {
		t.Errorf("%s\nwant\n%s", marshal(t, got), marshal(t, want))
	}
	if err := r.Set("mix.0.name=ricap"); err != nil { // takes alpha with it
		t.Fatal(err)
	}
	resolve(t, r)
}

// One repetition is none: the hash of a run must not depend on the spelling.
func TestRepeats(t *testing.T) {
	a, b := resolve(t, parse(t, "data: {repeats: 1}")), resolve(t, Default())
	if marshal(t, a) != marshal(t, b) || strings.Contains(marshal(t, b), "repeats") || strings.Contains(marshal(t, b), "mix") {
		t.Errorf("%s\n%s", marshal(t, a), marshal(t, b))
	}
	if r := resolve(t, parse(t, "data: {repeats: 4}")); r.Data.Repeats != 4 {
		t.Errorf("repeats %d", r.Data.Repeats)
	}
}

// Weights come after smoothing, although their name sorts first.
func TestTargetOrder(t *testing.T) {
	r := resolve(t, parse(t, "target: {class_weights: {form: given, weights: [1, 10]}, label_smoothing: {epsilon: 0.2}}"))
	chain, err := r.BuildTarget(target.Info{Classes: 2})
	if err != nil {
		t.Fatal(err)
	}
	row := []float32{0, 1}
	if chain.Shape(row, 2); row[0] != 0.1 || row[1] != 9 {
		t.Errorf("row %v, want 0.1 and 9", row)
	}
}

package recipe

import (
	"strings"
	"testing"
)

func TestPrecision(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"precision: float32", ""},
		{"precision: mixed", "precision:\n  type: mixed\n  loss_scale: dynamic\n  growth_interval: 2000\n"},
		{"precision: {type: mixed, growth_interval: 50}", "precision:\n  type: mixed\n  loss_scale: dynamic\n  growth_interval: 50\n"},
		{"precision: {type: mixed, loss_scale: 128}", "precision:\n  type: mixed\n  loss_scale: 128\n"},
	} {
		r, err := Parse([]byte(c.text+"\n"), "r.yaml")
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		full, err := r.Resolve()
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		text, err := full.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(text), "precision:"); got != (c.want != "") || !strings.Contains(string(text), c.want) {
			t.Errorf("%s: written as\n%s", c.text, text)
		}
		again, err := Parse(text, "again.yaml")
		if err != nil {
			t.Fatal(err)
		}
		a, err := again.Hash()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := full.Hash(); err != nil || a != b {
			t.Errorf("%s: read back it is another recipe (%v)", c.text, err)
		}
	}
}

func TestPrecisionMistakes(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"precision: {type: mixd}", `r.yaml:1: precision.type: unknown precision "mixd"; did you mean "mixed"?`},
		{"precision: float16", `precision.type: unknown precision "float16"; did you mean "float32"?`},
		{"precision: {loss_scale: 8}", "precision.type: is float32, which scales no loss; did you mean mixed?"},
		{"precision: {type: mixed, loss_scale: 0}", "precision.loss_scale: must be dynamic, or a number from 1 to 16777216, got 0"},
		{"precision: {type: mixed, loss_scale: -4}", "precision.loss_scale: must be dynamic, or a number from 1 to 16777216, got -4"},
		{"precision: {type: mixed, loss_scale: 1e9}", "precision.loss_scale: must be dynamic, or a number from 1 to 16777216, got 1e+09"},
		{"precision: {type: mixed, loss_scale: static}", `precision.loss_scale: must be dynamic, or a number from 1 to 16777216, found "static"`},
		{"precision: {type: mixed, loss_scale: 8, growth_interval: 5}", "precision.growth_interval: is for loss_scale: dynamic, the scale is 8; remove one of the two"},
		{"precision: {type: mixed, growth_interval: -1}", "precision.growth_interval: must be 1 to"},
		{"precision: {type: mixed, growth_intervall: 5}", `unknown key; did you mean "growth_interval"?`},
	} {
		r, err := Parse([]byte(c.text+"\n"), "r.yaml")
		if err == nil {
			_, err = r.Resolve()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q", c.text, err, c.want)
		}
	}
}

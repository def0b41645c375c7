package recipe

import (
	"strings"
	"testing"
)

func number(x float64) *float64 { return &x }

// TestOptimizerDefaults: what a recipe leaves out is the optimizer's own
// default, not that of another; what it says stays.
func TestOptimizerDefaults(t *testing.T) {
	for _, c := range []struct {
		text     string
		momentum *float64
		decay    float64
	}{
		{"", number(0.9), 1e-4},
		{"optimizer: {name: sgd, momentum: 0, weight_decay: 0}", number(0), 0},
		{"optimizer: {name: adamw}", nil, 0.01},
		{"optimizer: {name: adamw, weight_decay: 0.05}", nil, 0.05},
		{"optimizer: {name: rmsprop}", number(0), 0},
		{"optimizer: {name: muon, momentum: 0.9}", number(0.9), 0},
	} {
		r, err := parse(t, c.text).Resolve()
		if err != nil {
			t.Fatal(err)
		}
		o := r.Optimizer
		if (o.Momentum == nil) != (c.momentum == nil) || o.Momentum != nil && *o.Momentum != *c.momentum || *o.WeightDecay != c.decay {
			t.Errorf("%q resolves to %+v", c.text, o)
		}
		text, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "momentum:") != (c.momentum != nil) || !strings.Contains(string(text), "weight_decay:") {
			t.Errorf("%q is written as\n%s", c.text, text)
		}
	}
}

// TestOptimizerChange: choosing another optimizer on the command line brings
// its defaults along, in any order with other keys.
func TestOptimizerChange(t *testing.T) {
	r := Default()
	for _, s := range []string{"gradient.clip_norm=1", "optimizer.weight_decay=0.2", "optimizer.name=adamw", "optimizer.options.beta2=0.99"} {
		if err := r.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	r, err := r.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if r.Optimizer.Momentum != nil || *r.Optimizer.WeightDecay != 0.2 || r.Optimizer.Options["beta2"] != "0.99" || r.Gradient.ClipNorm != 1 {
		t.Errorf("%+v, %+v", r.Optimizer, r.Gradient)
	}
}

func TestOptimizerErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"optimizer:\n  name: adam\n  momentum: 0.9", "r.yaml:3: optimizer.momentum: adam has no momentum; leave the key out"},
		{"optimizer: {momentum: 1}", "r.yaml:1: optimizer.momentum: must be at least 0 and below 1, got 1"},
		{"optimizer: {name: rmsprop, nesterov: true}", "r.yaml:1: optimizer.nesterov: needs a momentum above 0"},
		{"optimizer: {weight_decay: -1}", "r.yaml:1: optimizer.weight_decay: must not be negative, got -1"},
		{"gradient: {clip_norm: -1}", "r.yaml:1: gradient.clip_norm: must be above 0, or 0 for none, got -1"},
		{"gradient: {l1: 1e-60}", "r.yaml:1: gradient.l1: is beyond the range of single precision, got 1e-60"},
		{"gradient: {clip: 1}", "r.yaml:1: gradient.clip: unknown key; valid: l1, agc, clip_value, clip_norm"},
	} {
		r, err := Parse([]byte(c.text), "r.yaml")
		if err == nil {
			_, err = r.Resolve()
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

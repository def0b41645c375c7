package optimizer_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/optimizer"
	"github.com/ortrain/ortrain/graphs/reference"
)

// Trajectories against the reference implementations are in
// tools/parity/optimizers; here are the edges that those do not meet.

var weight = optimizer.Segment{Name: "w", Shape: ir.Shape{2, 3}, Size: 6, Decay: true}
var bias = optimizer.Segment{Name: "b", Shape: ir.Shape{2}, Size: 2, Kind: optimizer.Bias}

// place sets the offsets of segments.
func place(gs ...optimizer.Segment) []optimizer.Segment {
	offset := 0
	for i := range gs {
		gs[i].Offset = offset
		offset += gs[i].Size
	}
	return gs
}

// update takes one step of a rule from empty slots, with default
// hyper-parameters but those given, and returns the new parameters.
func update(t *testing.T, name string, options map[string]string, transforms []string,
	segments []optimizer.Segment, params, grads []float64, hyper map[string]float64) []float64 {
	t.Helper()
	rule, ok := optimizer.Lookup(name)
	if !ok {
		t.Fatalf("no rule %s", name)
	}
	options, err := rule.Resolve(options)
	if err != nil {
		t.Fatal(err)
	}
	order, err := optimizer.OrderTransforms(transforms)
	if err != nil {
		t.Fatal(err)
	}
	g, n := ir.New(name), len(params)
	in := map[string]reference.Tensor{"params": {Shape: ir.Shape{n}, Data: params}, "grads": {Shape: ir.Shape{n}, Data: grads}}
	s := &optimizer.State{
		G: g, Params: g.Input("params", ir.F32(n)), Grads: g.Input("grads", ir.F32(n)), Segments: segments,
		Slots: map[string]*ir.Value{}, Hyper: map[string]*ir.Value{}, Options: options}
	for _, slot := range rule.SlotsFor(options) {
		s.Slots[slot.Name] = g.Input(slot.Name, ir.F32(n))
		in[slot.Name] = reference.Zeros(ir.Shape{n})
	}
	all := rule.HyperFor(options)
	for _, tr := range order {
		all = append(all, tr.Hyper...)
	}
	for _, h := range all {
		s.Hyper[h.Name] = g.Input(h.Name, ir.F32())
		in[h.Name] = reference.Scalar(float64(h.Default))
		if v, ok := hyper[h.Name]; ok {
			in[h.Name] = reference.Scalar(v)
		}
	}
	for _, tr := range order {
		s.Grads = tr.Apply(s)
	}
	p, slots := rule.Update(s)
	if len(slots) != len(s.Slots) {
		t.Fatalf("%s returns %d slots of %d", name, len(slots), len(s.Slots))
	}
	g.Output("p", p)
	for name, v := range slots {
		if s.Slots[name] == nil || !v.Shape.Equal(ir.Shape{n}) {
			t.Fatalf("slot %s is %v", name, v.Shape)
		}
		g.Output(name+"_out", v)
	}
	out, err := reference.Run(g, in)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range out {
		for i, v := range x.Data {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("%s: element %d of %s is %v", t.Name(), i, name, v)
			}
		}
	}
	return out["p"].Data
}

// TestEdges: no rule divides by zero, whatever vanishes, and each works on
// networks without biases, without weights, and of one tensor.
func TestEdges(t *testing.T) {
	zeros, some := make([]float64, 8), []float64{1, -2, 0.5, 3, -1, 2, 0.25, -0.5}
	for _, name := range optimizer.Names() {
		rule, _ := optimizer.Lookup(name)
		choices := []map[string]string{nil}
		for _, o := range rule.Options {
			for _, v := range o.Values[1:] {
				choices = append(choices, map[string]string{o.Name: v})
			}
		}
		for _, options := range choices {
			for _, transforms := range [][]string{nil, optimizer.Transforms()} {
				for what, segments := range map[string][]optimizer.Segment{
					"both": place(weight, bias), "biases": place(bias, bias, bias, bias), "weights": place(weight, optimizer.Segment{Name: "v", Shape: ir.Shape{1, 2, 1, 1}, Size: 2}),
				} {
					t.Run(fmt.Sprint(name, options, len(transforms), what), func(t *testing.T) {
						update(t, name, options, transforms, segments, zeros, some, nil)
						update(t, name, options, transforms, segments, some, some, nil)
						still := update(t, name, options, transforms, segments, zeros, zeros, nil)
						if !slices.Equal(still, zeros) {
							t.Errorf("zeros without gradient move to %v", still)
						}
						if transforms == nil {
							rest := update(t, name, options, nil, segments, some, zeros, map[string]float64{"weight_decay": 0})
							if !slices.Equal(rest, some) {
								t.Errorf("without gradient and decay %v moves to %v", some, rest)
							}
						}
					})
				}
			}
		}
	}
}

// TestExclusion: decay and L1 leave alone what does not decay, in every rule.
func TestExclusion(t *testing.T) {
	params, zeros := []float64{1, -2, 0.5, 3, -1, 2, 0.25, -0.5}, make([]float64, 8)
	for _, name := range optimizer.Names() {
		p := update(t, name, nil, nil, place(weight, bias), params, zeros, map[string]float64{"weight_decay": 0.5})
		if !slices.Equal(p[6:], params[6:]) {
			t.Errorf("%s: excluded biases move from %v to %v", name, params[6:], p[6:])
		}
		for i := range 6 {
			// Without a gradient there is decay alone, which shrinks or overshoots.
			if math.Abs(p[i]) >= math.Abs(params[i]) && math.Signbit(p[i]) == math.Signbit(params[i]) {
				t.Errorf("%s: decay moves %g to %g", name, params[i], p[i])
			}
		}
	}
	p := update(t, "sgd", nil, []string{"l1"}, place(weight, bias), params, zeros, map[string]float64{"l1": 0.5, "lr": 1, "weight_decay": 0})
	if want := []float64{0.5, -1.5, 0, 2.5, -0.5, 1.5, 0.25, -0.5}; !slices.Equal(p, want) {
		t.Errorf("L1 moves %v to %v, want %v", params, p, want)
	}
}

// TestClipping compares with hand-computed bounds.
func TestClipping(t *testing.T) {
	zeros, g := make([]float64, 8), []float64{3, 0, 0, 0, 0, 4, 0, 0}
	plain := map[string]float64{"lr": 1, "weight_decay": 0}
	step := func(transform string, value float64, params []float64) []float64 {
		h := map[string]float64{transform: value, "lr": 1, "weight_decay": plain["weight_decay"]}
		p := update(t, "sgd", nil, []string{transform}, place(weight, bias, bias)[:2], params, g, h)
		out := make([]float64, len(p))
		for i := range p {
			out[i] = params[i] - p[i]
		}
		return out
	}
	near := func(what string, got []float64, want ...float64) {
		t.Helper()
		for i, w := range want {
			if math.Abs(got[i]-w) > 1e-6 {
				t.Errorf("%s: %v, want %v", what, got, want)
				return
			}
		}
	}
	near("norm 5 to 1", step("clip_norm", 1, zeros), 0.6, 0, 0, 0, 0, 0.8, 0, 0)
	near("norm 5 below 6", step("clip_norm", 6, zeros), g...)
	near("values to 3.5", step("clip_value", 3.5, zeros), 3, 0, 0, 0, 0, 3.5, 0, 0)
	// The only matrix is the classifier: AGC leaves it.
	near("agc of the classifier", step("agc", 0.1, zeros), g...)

	// Two rows of a hidden matrix; weights of norm 2 and 0 (which counts as 1e-3).
	h := map[string]float64{"agc": 0.5, "lr": 1, "weight_decay": 0}
	params := []float64{2, 0, 0, 0, 0, 0, 0, 0}
	head := optimizer.Segment{Name: "head", Shape: ir.Shape{1, 2}, Size: 2}
	p := update(t, "sgd", nil, []string{"agc"}, place(weight, head), params, g, h)
	near("agc", p, 2-1, 0, 0, 0, 0, -0.5e-3, 0, 0)
}

func TestTransformsAreOrdered(t *testing.T) {
	order, err := optimizer.OrderTransforms([]string{"clip_norm", "l1", "agc"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tr := range order {
		names = append(names, tr.Name)
	}
	if got := strings.Join(names, " "); got != "l1 agc clip_norm" {
		t.Errorf("order %s", got)
	}
	for _, bad := range [][]string{{"clip"}, {"l1", "l1"}} {
		if _, err := optimizer.OrderTransforms(bad); err == nil || !strings.Contains(err.Error(), bad[0]) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestSettings(t *testing.T) {
	adam, _ := optimizer.Lookup("adam")
	options, hyper, err := adam.Settings(map[string]string{"amsgrad": "true", "beta2": "0.99"})
	if err != nil || options["amsgrad"] != "true" || len(hyper) != 1 || hyper["beta2"] != 0.99 {
		t.Errorf("%v, %v, %v", options, hyper, err)
	}
	for _, c := range []struct{ rule, option, value, want string }{
		{"adam", "beta2", "1", "must be at least 0 and below 1, got 1"},
		{"adam", "beta2", "0.99999999999", "below 1"}, // 1 in float32
		{"adam", "beta2", "nan", "below 1"},
		{"adam", "eps", "-1", "must not be negative"},
		{"adam", "eps", "small", `expected a number, found "small"`},
		{"adam", "eps", "1e99", `expected a number`},
		{"adam", "beta3", "1", "it has amsgrad, beta1, beta2, eps"},
		{"adam", "lr", "1", "no such option"},
		{"adam", "amsgrad", "yes", "false or true"},
		{"adabound", "gamma", "0", "must be above 0"},
		{"lion", "nesterov", "true", "no such option"},
	} {
		rule, _ := optimizer.Lookup(c.rule)
		_, _, err := rule.Settings(map[string]string{c.option: c.value})
		var oe *optimizer.OptionError
		if !errors.As(err, &oe) || oe.Option != c.option || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %s=%s: %v, want %q", c.rule, c.option, c.value, err, c.want)
		}
	}
	muon, _ := optimizer.Lookup("muon")
	if _, _, err := muon.Settings(map[string]string{"auxiliary": "sgd", "beta2": "0.9"}); err == nil || !strings.Contains(err.Error(), "auxiliary adamw") {
		t.Errorf("beta2 of muon with sgd: %v", err)
	}
}

// TestDescriptions: what a rule is registered with is complete, and its
// defaults are within their bounds.
func TestDescriptions(t *testing.T) {
	check := func(owner string, hyper []optimizer.Hyper) {
		for _, h := range hyper {
			if err := h.Bounds.Check(float64(h.Default)); err != nil || h.Help == "" {
				t.Errorf("%s: %s: %v, help %q", owner, h.Name, err, h.Help)
			}
		}
	}
	for _, name := range optimizer.Names() {
		o, _ := optimizer.Lookup(name)
		if o.Description == "" || o.Source == "" {
			t.Errorf("%s has no description or source", name)
		}
		if !slices.ContainsFunc(o.Hyper, func(h optimizer.Hyper) bool { return h.Name == optimizer.LR }) {
			t.Errorf("%s has no learning rate", name)
		}
		check(name, o.Hyper)
		for _, op := range o.Options {
			if op.Help == "" || len(op.Values) < 2 {
				t.Errorf("%s: option %s has help %q, values %v", name, op.Name, op.Help, op.Values)
			}
		}
	}
	for _, name := range optimizer.Transforms() {
		tr, _ := optimizer.LookupTransform(name)
		if tr.Description == "" || tr.Source == "" {
			t.Errorf("%s has no description or source", name)
		}
		check(name, tr.Hyper)
	}
}

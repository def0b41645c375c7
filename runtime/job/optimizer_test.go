package job_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/optimizer"
	"github.com/ortrain/ortrain/runtime/job"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tricks"
	documented "github.com/ortrain/ortrain/tricks/optimizer"
)

// TestOptimizerCards: the rules that there are and those that have a card are
// the same, with the same defaults; so are the transforms of the gradient.
func TestOptimizerCards(t *testing.T) {
	var cards []string
	for _, k := range tricks.All(tricks.Optimizer) {
		cards = append(cards, k.Name)
	}
	if rules := optimizer.Names(); !slices.Equal(cards, rules) {
		t.Errorf("cards of %v, rules %v", cards, rules)
	}
	for _, name := range optimizer.Names() {
		rule, _ := optimizer.Lookup(name)
		doc, _ := documented.Lookup(name)
		var momentum, decay *float64
		for _, h := range rule.Hyper {
			v := float64(h.Default)
			switch h.Name {
			case optimizer.Momentum:
				momentum = &v
			case optimizer.WeightDecay:
				decay = &v
			default:
				if !optimizer.Reserved(h.Name) && !mentions(t, name, h.Name) {
					t.Errorf("the card of %s does not mention %s", name, h.Name)
				}
			}
		}
		for _, o := range rule.Options {
			if !mentions(t, name, o.Name) {
				t.Errorf("the card of %s does not mention %s", name, o.Name)
			}
		}
		if decay == nil || float32(doc.WeightDecay) != float32(*decay) || (momentum == nil) != (doc.Momentum == nil) ||
			momentum != nil && float32(*momentum) != float32(*doc.Momentum) {
			t.Errorf("%s: documented with %v, but fed %+v", name, doc, rule.Hyper)
		}
	}
	for _, name := range optimizer.Transforms() {
		if !mentions(t, name, "gradient."+name) {
			t.Errorf("the card of %s does not mention its key", name)
		}
	}
}

func mentions(t *testing.T, card, word string) bool {
	t.Helper()
	k, err := tricks.Lookup(card)
	if err != nil {
		t.Fatal(err)
	}
	// nesterov is a key of the recipe itself, but for rules where it is on.
	return strings.Contains(k.Card, "`"+word+"`") || strings.Contains(k.Card, "."+word+"`")
}

// TestEveryOptimizerResumes: with each rule, and with every option and every
// transform of the gradient, a run of two steps and one stopped between them
// end with the same bytes.
func TestEveryOptimizerResumes(t *testing.T) {
	ortest.Open(t)
	data := digits(t)
	cases := [][]string{
		{"sgd", "optimizer.nesterov=true"},
		{"adam", "optimizer.options.amsgrad=true"},
		{"adamw", "gradient.clip_norm=1", "gradient.clip_value=0.1", "gradient.agc=0.01", "gradient.l1=1e-5"},
		{"adabound", "optimizer.options.decay=decoupled"},
		{"amsbound", "optimizer.options.gamma=0.01"},
		{"rmsprop", "optimizer.options.centered=true", "optimizer.momentum=0.9"},
		{"lars", "optimizer.nesterov=true"},
		{"lamb", "optimizer.options.adapt_norm_and_bias=true"},
		{"lion"},
		{"muon", "optimizer.options.scale=match_rms_adamw"},
	}
	for _, name := range optimizer.Names() {
		if !slices.ContainsFunc(cases, func(c []string) bool { return c[0] == name }) {
			t.Errorf("%s is left out", name)
		}
	}
	for _, c := range cases {
		t.Run(c[0], func(t *testing.T) {
			changes := append([]string{"data.dir=" + data, "batch=16", "limit=32", "epochs=1", "optimizer.name=" + c[0],
				"schedule.lr=0.001", "schedule.warmup=none"}, c[1:]...)
			whole, cut := t.TempDir(), t.TempDir()
			ctx, cancel := context.WithCancel(context.Background())
			if _, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, changes...), Out: whole}); err != nil {
				t.Fatal(err)
			}
			if _, err := job.Train(ctx, job.Config{Recipe: mnist(t, changes...), Out: cut, Reporter: &stopper{1, cancel}}); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			cancel()
			if bytes.Equal(read(t, whole, job.CheckpointFile), read(t, cut, job.CheckpointFile)) {
				t.Error("the second step changes nothing")
			}
			// A recipe that is read back resumes as well as the one in the run.
			again := job.Config{Out: cut, Resume: true}
			if c[0] == "adam" {
				again.Recipe = mnist(t, changes...)
			}
			if _, err := job.Train(context.Background(), again); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{job.CheckpointFile, job.ModelFile, job.RecipeFile} {
				if !bytes.Equal(read(t, whole, name), read(t, cut, name)) {
					t.Errorf("%s of the stopped run differs", name)
				}
			}
			var m artifact.Manifest
			if err := json.Unmarshal(read(t, whole, job.ArtifactsDir, artifact.ManifestFile), &m); err != nil {
				t.Fatal(err)
			}
			for _, change := range c[1:] {
				key, value, _ := strings.Cut(change, "=")
				name := key[strings.LastIndex(key, ".")+1:]
				if v, ok := m.Optimizer.Options[name]; ok && v != value {
					t.Errorf("option %s is %s", name, v)
				}
			}
			if c[0] == "adamw" && !slices.Equal(m.Optimizer.Gradient, []string{"l1", "agc", "clip_value", "clip_norm"}) {
				t.Errorf("transforms %v", m.Optimizer.Gradient)
			}
		})
	}
}

// TestOptimizerRefusals: what a rule does not take ends a job with one line.
func TestOptimizerRefusals(t *testing.T) {
	for _, c := range []struct {
		changes []string
		want    string
	}{
		{[]string{"optimizer.name=adamm"}, `optimizer.name: unknown optimizer "adamm"; did you mean "adam"`},
		{[]string{"optimizer.name=adam", "optimizer.options.beta3=0.9"}, "optimizer.options.beta3: adam has no such option; it has amsgrad, beta1, beta2, eps"},
		{[]string{"optimizer.name=adam", "optimizer.options.beta2=1"}, "optimizer.options.beta2: must be at least 0 and below 1, got 1"},
		{[]string{"optimizer.name=adam", "optimizer.nesterov=true"}, "optimizer.nesterov: adam has no Nesterov momentum"},
		{[]string{"optimizer.name=muon", "optimizer.nesterov=true", "optimizer.options.nesterov=false"}, "optimizer.nesterov: contradicts optimizer.options.nesterov"},
		{[]string{"optimizer.name=muon", "optimizer.options.auxiliary=sgd", "optimizer.options.eps=1"}, "optimizer.options.eps: goes with auxiliary adamw only, which is sgd"},
		{[]string{"gradient.clip_norm=-1"}, "gradient.clip_norm: must be above 0"},
		{[]string{"schedule.lr=1e-60"}, "schedule.lr: is beyond the range of single precision"},
	} {
		_, err := job.Train(context.Background(), job.Config{Recipe: mnist(t, c.changes...), Out: t.TempDir() + "/run"})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v, want %q", c.changes, err, c.want)
		}
	}
}

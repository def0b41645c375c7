package job

import (
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// TestFeed: the scalars of a run are the recipe's, by name, and the number of
// the update counts on from the trainer's steps.
func TestFeed(t *testing.T) {
	r := recipe.Default()
	for _, s := range []string{"optimizer.name=adabound", "optimizer.options.gamma=0.02", "optimizer.weight_decay=0.25",
		"schedule.lr=0.5", "schedule.linear_scaling=true", "batch=512", "gradient.clip_norm=3"} {
		if err := r.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	r, err := r.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if err := checkOptimizer(r); err != nil {
		t.Fatal(err)
	}
	if got := r.Optimizer.Options; got["gamma"] != "0.02" || got["beta2"] != "0.999" || got["decay"] != "coupled" {
		t.Errorf("options are completed to %v", got)
	}
	again := *r
	if err := checkOptimizer(&again); err != nil || len(again.Optimizer.Options) != len(r.Optimizer.Options) {
		t.Errorf("completed twice: %v, %v", again.Optimizer.Options, err)
	}
	m := &artifact.Manifest{Hyper: []artifact.HyperInfo{{Name: "beta1"}, {Name: "step"}, {Name: "gamma"}, {Name: "lr"}, {Name: "base_lr"}, {Name: "weight_decay"}, {Name: "clip_norm"}}}
	values, err := hyper(r, m)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float32{"beta1": 0.9, "gamma": 0.02, "base_lr": 1, "weight_decay": 0.25, "clip_norm": 3} {
		if values[name] != want {
			t.Errorf("%s is fed %v, want %v", name, values[name], want)
		}
	}
	f, err := newFeed(make([]float32, len(m.Hyper)), m)
	if err != nil {
		t.Fatal(err)
	}
	if v := f.at(0, 0.25); v[1] != 1 || v[3] != 0.25 {
		t.Errorf("the first step is fed %v", v)
	}
	if v := f.at(41, 0.125); v[1] != 42 || v[3] != 0.125 {
		t.Errorf("step 42 is fed %v", v)
	}
	if _, err := newFeed(nil, &artifact.Manifest{}); err == nil {
		t.Error("a rule without a learning rate was accepted")
	}
}

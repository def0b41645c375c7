package artifact_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/graphs/optimizer"
)

// TestOptimizersAreSound: the step with each update rule passes the independent
// reader, and the manifest lists exactly the scalars and slots that it takes.
func TestOptimizersAreSound(t *testing.T) {
	for _, name := range optimizer.Names() {
		rule, _ := optimizer.Lookup(name)
		choices := []map[string]string{nil}
		for _, o := range rule.Options {
			choices = append(choices, map[string]string{o.Name: o.Values[1]})
		}
		for i, options := range choices {
			s := spec("resnet8", nil)
			s.Optimizer, s.OptimizerOptions, s.ExcludeNormAndBias = name, options, true
			if i == 0 {
				s.Gradient = optimizer.Transforms()
			}
			set, err := artifact.Build(s)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := set.Write(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := check.File(filepath.Join(dir, artifact.StepFile)); err != nil {
				t.Errorf("%s %v: %v", name, options, err)
			}
			var want, have []string
			for _, in := range set.Step.GetGraph().Input {
				have = append(have, in.Name)
			}
			m := set.Manifest
			want = append(want, artifact.Images, artifact.Targets, artifact.Params)
			for _, slot := range m.Slots {
				want = append(want, slot.Name)
			}
			want = append(want, artifact.Stats)
			read := map[string]bool{}
			for _, n := range set.Step.GetGraph().Node {
				for _, in := range n.Input {
					read[in] = true
				}
			}
			for _, h := range m.Hyper {
				want = append(want, h.Name)
				if !read[h.Name] {
					t.Errorf("%s %v: nothing reads %s", name, options, h.Name)
				}
			}
			if !slices.Equal(want, have) {
				t.Errorf("%s %v: the step takes %v, the manifest says %v", name, options, have, want)
			}
			if i == 0 && len(m.Optimizer.Gradient) != len(optimizer.Transforms()) {
				t.Errorf("%s: transforms %v", name, m.Optimizer.Gradient)
			}
		}
	}
}

// TestKinds: the manifest tells norms and biases from weights.
func TestKinds(t *testing.T) {
	set, err := artifact.Build(spec("resnet8", nil))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]optimizer.Kind{}
	for _, p := range set.Manifest.Parameters {
		kinds[p.Name] = p.Kind
	}
	for name, want := range map[string]optimizer.Kind{
		"conv1.weight": optimizer.Weight, "bn1.weight": optimizer.Norm, "bn1.bias": optimizer.Norm,
		"linear.weight": optimizer.Weight, "linear.bias": optimizer.Bias,
	} {
		if got, ok := kinds[name]; !ok || got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	s := spec("resnet8", nil)
	s.Gradient = []string{"clip"}
	if _, err := artifact.Build(s); err == nil {
		t.Error("an unknown transform was built")
	}
}

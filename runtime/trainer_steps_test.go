package runtime_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// trained opens a trainer of a tiny set.
func trained(t *testing.T, change func(*artifact.Spec)) *runtime.Trainer {
	t.Helper()
	ortest.Open(t)
	spec := artifact.Spec{
		Model: "resnet8", Config: models.Config{Classes: tinyClasses, Input: [3]int{1, 8, 8}},
		Optimizer: "sgd", Batch: tinyBatch, Seed: 7,
	}
	change(&spec)
	tr := ortest.Trainer(t, spec, runtime.Options{Threads: 1})
	return tr
}

// rows makes the scalars of n steps from number first, which differ.
func rows(t *testing.T, tr *runtime.Trainer, first, n int) []float32 {
	t.Helper()
	var all []float32
	for i := range n {
		values := map[string]float32{"lr": 0.1 / float32(1+first+i)}
		if tr.Manifest().Average {
			values[artifact.AverageShare] = 1 / float32(2+(first+i)%3)
		}
		for _, h := range tr.Manifest().Hyper {
			if h.Name == "step" {
				values["step"] = float32(first + i + 1)
			}
		}
		row, err := tr.Hyper(values)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, row...)
	}
	return all
}

// TestManyStepsInARun: eight steps in one run, and five and three, and one by
// one, end in the same bytes, with and without whatever a step may have.
func TestManyStepsInARun(t *testing.T) {
	const n = 8
	for name, change := range map[string]func(*artifact.Spec){
		"sgd":              func(*artifact.Spec) {},
		"channel blocks":   func(s *artifact.Spec) { s.Lowering = lower.Options{Block: runtime.ChannelBlock(), Threads: 1} },
		"adam, an average": func(s *artifact.Spec) { s.Optimizer, s.Average = "adam", true },
		"random draws": func(s *artifact.Spec) {
			s.Model, s.Config.Options = "resnet8", map[string]string{"dropout": "0.2"}
		},
		"clipped, guarded": func(s *artifact.Spec) { s.Gradient, s.Guard = []string{"clip_norm"}, true },
		"a teacher":        func(s *artifact.Spec) { s.Distillation = artifact.SoftDivergence },
		"frozen": func(s *artifact.Spec) {
			s.Average = true
			s.Freeze = func(n string) bool { return strings.HasPrefix(n, "conv1") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			single := trained(t, change)
			if teaches := single.Manifest().Distillation != ""; teaches != (name == "a teacher") {
				t.Fatal("the set is not the one meant")
			}
			rng := newRand(3)
			images, targets, _ := sample(rng, n*tinyBatch)
			all := runtime.Inputs{Images: images, Targets: targets}
			if single.Manifest().Distillation != "" {
				all.Teacher = make([]float32, len(targets))
				for i := range all.Teacher {
					all.Teacher[i] = float32(rng.NormFloat64())
				}
			}
			part := func(from, to int) runtime.Inputs {
				in := runtime.Inputs{
					Images:  images[from*tinyBatch*tinySize : to*tinyBatch*tinySize],
					Targets: targets[from*tinyBatch*tinyClasses : to*tinyBatch*tinyClasses]}
				if all.Teacher != nil {
					in.Teacher = all.Teacher[from*tinyBatch*tinyClasses : to*tinyBatch*tinyClasses]
				}
				return in
			}
			type outcome struct {
				Loss, Norm []float32
				Logits     [][]float32
			}
			keep := func(o *outcome, r runtime.StepResult) {
				o.Loss, o.Norm = append(o.Loss, r.Loss), append(o.Norm, r.GradientNorm)
				o.Logits = append(o.Logits, append([]float32(nil), r.Logits...))
			}
			var want outcome
			for i := range n {
				r, err := single.StepInputs(part(i, i+1), rows(t, single, i, 1), 0, 1)
				if err != nil {
					t.Fatal(err)
				}
				keep(&want, r)
			}
			if want.Loss[0] == want.Loss[n-1] || reflect.DeepEqual(single.State(), single.Manifest().InitialState()) {
				t.Fatal("nothing was trained")
			}
			for _, cuts := range [][]int{{0, 8}, {0, 5, 8}, {0, 1, 8}} {
				many := trained(t, func(s *artifact.Spec) { change(s); s.Loop = true })
				var got outcome
				for i, to := range cuts[1:] {
					from := cuts[i]
					results, err := many.StepMany(part(from, to), rows(t, many, from, to-from), to-from)
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range results {
						keep(&got, r)
					}
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("cut at %v: results differ: losses %v, one by one %v", cuts, got.Loss, want.Loss)
				}
				if !reflect.DeepEqual(many.State(), single.State()) || many.Steps() != n {
					t.Errorf("cut at %v: the states differ", cuts)
				}
				p, s := many.Average()
				wantP, wantS := single.Average()
				if !reflect.DeepEqual(p, wantP) || !reflect.DeepEqual(s, wantS) || (p != nil) != many.Manifest().Average {
					t.Errorf("cut at %v: the averages differ", cuts)
				}
			}
		})
	}
}

// TestNonFiniteAmongMany: a step that diverges among others is named and
// nothing is changed; with a guard it alone is left out, as if it had not been.
func TestNonFiniteAmongMany(t *testing.T) {
	const n, bad = 4, 2
	images, targets, _ := sample(newRand(3), n*tinyBatch)
	clean := append([]float32(nil), images...)
	images[bad*tinyBatch*tinySize+5] = float32(math.NaN())
	in := runtime.Inputs{Images: images, Targets: targets}

	tr := trained(t, func(s *artifact.Spec) { s.Loop = true })
	before := tr.State()
	_, err := tr.StepMany(in, rows(t, tr, 0, n), n)
	var nf *runtime.NonFiniteError
	if !errors.As(err, &nf) || nf.Step != bad {
		t.Fatalf("%v", err)
	}
	if !reflect.DeepEqual(before, tr.State()) || tr.Steps() != 0 {
		t.Error("the failed run changed the state")
	}

	for _, loop := range []bool{false, true} {
		tr := trained(t, func(s *artifact.Spec) { s.Loop, s.Guard = loop, true })
		ref := trained(t, func(*artifact.Spec) {})
		for i := range n {
			x, y := images[i*tinyBatch*tinySize:(i+1)*tinyBatch*tinySize], targets[i*tinyBatch*tinyClasses:(i+1)*tinyBatch*tinyClasses]
			if !loop {
				r, err := tr.Step(x, y, rows(t, tr, i, 1))
				if err != nil || r.Skipped != (i == bad) {
					t.Fatalf("step %d: skipped %v, %v", i, r.Skipped, err)
				}
			}
			if i == bad {
				continue
			}
			if _, err := ref.Step(clean[i*tinyBatch*tinySize:(i+1)*tinyBatch*tinySize], y, rows(t, ref, i, 1)); err != nil {
				t.Fatal(err)
			}
		}
		if loop {
			results, err := tr.StepMany(in, rows(t, tr, 0, n), n)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range results {
				if r.Skipped != (i == bad) {
					t.Errorf("step %d: skipped %v", i, r.Skipped)
				}
			}
		}
		if !reflect.DeepEqual(tr.State(), ref.State()) {
			t.Errorf("loop %v: the state is not that of the steps without the bad one", loop)
		}
	}
}

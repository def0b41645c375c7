package runtime_test

import (
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
)

func mixed(scale float32, growth int) func(*artifact.Spec) {
	return func(s *artifact.Spec) {
		s.Precision = &artifact.Mixed{LossScale: scale, Dynamic: growth > 0, GrowthInterval: growth}
	}
}

// most is the largest scale, under which the gradient of the tiny network
// overflows float16.
const most = 1 << 24

// TestLossScale: a step whose scaled gradient overflows leaves every bit of the
// state as it was and halves the scale; steps that do not move the state, and
// after so many of them the scale doubles.
func TestLossScale(t *testing.T) {
	const growth = 4
	for _, optimizer := range []string{"sgd", "adam"} {
		t.Run(optimizer, func(t *testing.T) {
			tr := trained(t, func(s *artifact.Spec) { mixed(most, growth)(s); s.Optimizer = optimizer })
			p, rng := tr.Manifest().Precision, newRand(1)
			want, skipped, grown := p.First(), 0, 0
			for n := range 40 {
				before := tr.State()
				if !slices.Equal(before.LossScale, want) {
					t.Fatalf("step %d: the scale is %v, want %v", n, before.LossScale, want)
				}
				images, targets, _ := sample(rng, tinyBatch)
				r, err := tr.Step(images, targets, rows(t, tr, n, 1))
				if err != nil {
					t.Fatal(err)
				}
				after := tr.State()
				want = p.Next(want, !r.Skipped)
				finite := !math.IsInf(float64(r.GradientNorm), 0) && !math.IsNaN(float64(r.GradientNorm))
				if r.Skipped == finite {
					t.Fatalf("step %d: skipped is %v, the gradient's norm %v", n, r.Skipped, r.GradientNorm)
				}
				if r.Skipped {
					skipped++
					before.LossScale, after.LossScale = nil, nil
					if !reflect.DeepEqual(before, after) {
						t.Fatalf("step %d was skipped, and the state changed", n)
					}
					continue
				}
				if slices.Equal(before.Params, after.Params) || slices.Equal(before.Slots[0], after.Slots[0]) || slices.Equal(before.Stats, after.Stats) {
					t.Fatalf("step %d was not skipped, and the state stayed", n)
				}
				if artifact.ScaleOf(want) > artifact.ScaleOf(before.LossScale) {
					grown++
				}
			}
			if last := tr.View().LossScale; artifact.SkippedOf(last) != skipped {
				t.Errorf("%d steps were skipped, the state counts %d", skipped, artifact.SkippedOf(last))
			}
			if skipped < 3 || grown < 3 {
				t.Errorf("%d steps were skipped and the scale grew %d times: too few to tell", skipped, grown)
			}
		})
	}
}

// TestNextLossScale: the rule itself, at its ends.
func TestNextLossScale(t *testing.T) {
	dynamic := &artifact.Mixed{LossScale: 8, Dynamic: true, GrowthInterval: 2}
	fixed := &artifact.Mixed{LossScale: 8}
	for _, c := range []struct {
		p           *artifact.Mixed
		state, want []float32
		finite      bool
	}{
		{dynamic, []float32{8, 0, 3}, []float32{8, 1, 3}, true},
		{dynamic, []float32{8, 1, 3}, []float32{16, 0, 3}, true},
		{dynamic, []float32{8, 1, 3}, []float32{4, 0, 4}, false},
		{dynamic, []float32{1, 0, 0}, []float32{1, 0, 1}, false},
		{dynamic, []float32{most, 1, 0}, []float32{most, 0, 0}, true},
		{fixed, []float32{8, 5000, 0}, []float32{8, 5001, 0}, true},
		{fixed, []float32{8, 7, 0}, []float32{8, 0, 1}, false},
	} {
		if got := c.p.Next(c.state, c.finite); !slices.Equal(got, c.want) {
			t.Errorf("after %v comes %v, want %v", c.state, got, c.want)
		}
	}
}

// TestMixedLoop: several steps in a run end in the same bytes as one by one,
// through overflows and growth.
func TestMixedLoop(t *testing.T) {
	const n = 16
	change := func(s *artifact.Spec) { mixed(most, 2)(s); s.Average = true }
	single := trained(t, change)
	images, targets, _ := sample(newRand(3), n*tinyBatch)
	skipped := 0
	for i := range n {
		r, err := single.Step(images[i*tinyBatch*tinySize:][:tinyBatch*tinySize],
			targets[i*tinyBatch*tinyClasses:][:tinyBatch*tinyClasses], rows(t, single, i, 1))
		if err != nil {
			t.Fatal(err)
		}
		if r.Skipped {
			skipped++
		}
	}
	many := trained(t, func(s *artifact.Spec) { change(s); s.Loop = true })
	results, err := many.StepMany(runtime.Inputs{Images: images, Targets: targets}, rows(t, many, 0, n), n)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Skipped {
			skipped--
		}
	}
	if skipped != 0 || !reflect.DeepEqual(single.State(), many.State()) {
		t.Errorf("the state differs: scales %v and %v", single.View().LossScale, many.View().LossScale)
	}
	if artifact.SkippedOf(many.View().LossScale) < 3 {
		t.Error("too few overflows to tell")
	}
}

// TestFixedLossScale: a gradient that overflows under a scale that is given is
// an error that says so, and leaves the state.
func TestFixedLossScale(t *testing.T) {
	tr := trained(t, mixed(most, 0))
	images, targets, _ := sample(newRand(1), tinyBatch)
	before := tr.State()
	_, err := tr.Step(images, targets, rows(t, tr, 0, 1))
	var diverged *runtime.NonFiniteError
	if !errors.As(err, &diverged) || !strings.Contains(err.Error(), "precision.loss_scale") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("error %v", err)
	}
	if !reflect.DeepEqual(before, tr.State()) {
		t.Error("the state changed")
	}
	low := trained(t, mixed(8, 0))
	for n := range 3 {
		if r, err := low.Step(images, targets, rows(t, low, n, 1)); err != nil || r.Skipped {
			t.Fatalf("step %d: %v %v", n, r, err)
		}
	}
	if s := low.View().LossScale; !slices.Equal(s, []float32{8, 3, 0}) {
		t.Errorf("the scale is %v", s)
	}
}

// TestMixedLossDiverges: no scale of the loss mends a loss that is not finite.
func TestMixedLossDiverges(t *testing.T) {
	tr := trained(t, mixed(1024, 10))
	images, targets, _ := sample(newRand(1), tinyBatch)
	images[5] = float32(math.Inf(1))
	before := tr.State()
	if _, err := tr.Step(images, targets, rows(t, tr, 0, 1)); !errors.Is(err, runtime.ErrNonFinite) {
		t.Fatalf("error %v", err)
	}
	if !reflect.DeepEqual(before, tr.State()) {
		t.Error("the state changed")
	}
}

// TestMixedAccumulates: a batch in parts gives the gradient of float32 up to
// float16's rounding, and an overflow in one part skips the whole step.
func TestMixedAccumulates(t *testing.T) {
	const batch = 32
	accumulate := func(s *artifact.Spec) { s.Accumulate, s.Batch = true, batch }
	exact := trained(t, accumulate)
	half := trained(t, func(s *artifact.Spec) { accumulate(s); mixed(1024, 10)(s) })
	images, targets, _ := sample(newRand(2), 3*batch)
	part := func(tr *runtime.Trainer, i int) (runtime.StepResult, error) {
		return tr.StepPart(images[i*batch*tinySize:][:batch*tinySize],
			targets[i*batch*tinyClasses:][:batch*tinyClasses], rows(t, tr, 0, 1), i, 3)
	}
	for i := range 3 {
		for _, tr := range []*runtime.Trainer{exact, half} {
			if _, err := part(tr, i); err != nil {
				t.Fatal(err)
			}
		}
	}
	if d := apart(half.View().Slots[0], exact.View().Slots[0]); d > 0.03 || d == 0 {
		t.Errorf("gradients are %.2g apart", d)
	}
	if s := half.View().LossScale; !slices.Equal(s, []float32{1024, 1, 0}) {
		t.Errorf("the scale is %v after one step of three parts", s)
	}

	over := trained(t, func(s *artifact.Spec) { accumulate(s); mixed(most, 10)(s) })
	before := over.State()
	skipped := false
	for i := range 3 {
		r, err := part(over, i)
		if err != nil {
			t.Fatal(err)
		}
		skipped = r.Skipped
	}
	after := over.State()
	if !skipped || !slices.Equal(after.LossScale, []float32{most / 2, 0, 1}) {
		t.Fatalf("the step was not skipped: %v", after.LossScale)
	}
	if !reflect.DeepEqual(before.Params, after.Params) || !reflect.DeepEqual(before.Slots, after.Slots) {
		t.Error("the state changed")
	}
}

// TestMixedLearns: losses follow those of float32 over a run.
func TestMixedLearns(t *testing.T) {
	const batch = 32
	larger := func(s *artifact.Spec) { s.Batch = batch }
	full := trained(t, larger)
	half := trained(t, func(s *artifact.Spec) { larger(s); mixed(artifact.FirstLossScale, artifact.GrowthInterval)(s) })
	rng := newRand(5)
	var first, last, worst float64
	for n := range 40 {
		images, targets, _ := sample(rng, batch)
		var losses [2]float64
		for i, tr := range []*runtime.Trainer{full, half} {
			r, err := tr.Step(images, targets, hyper(t, tr, 0.02))
			if err != nil {
				t.Fatal(err)
			}
			losses[i] = float64(r.Loss)
		}
		x, y := losses[0], losses[1]
		worst = math.Max(worst, math.Abs(x-y))
		if n == 0 {
			first = x
		}
		last = x
	}
	if worst > 0.02 || worst == 0 || last > first/2 {
		t.Errorf("losses go from %.3f to %.3f and are up to %.2g apart", first, last, worst)
	}
}

// TestMixedCheckpoint: the scale is saved and restored; a run of either
// precision takes a checkpoint of the other.
func TestMixedCheckpoint(t *testing.T) {
	change := mixed(most, 3)
	tr := trained(t, change)
	rng := newRand(4)
	for n := range 12 {
		images, targets, _ := sample(rng, tinyBatch)
		if _, err := tr.Step(images, targets, rows(t, tr, n, 1)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "mixed")
	if err := runtime.WriteCheckpoint(path, tr.Manifest(), tr.Snapshot()); err != nil {
		t.Fatal(err)
	}
	saved := tr.State()
	if artifact.ScaleOf(saved.LossScale) == most || saved.LossScale[2] == 0 {
		t.Fatalf("the scale is %v", saved.LossScale)
	}
	restore := func(path string, to *runtime.Trainer) {
		t.Helper()
		c, err := runtime.ReadCheckpoint(path, to.Manifest())
		if err != nil {
			t.Fatal(err)
		}
		if err := to.Restore(c); err != nil {
			t.Fatal(err)
		}
	}
	again, full := trained(t, change), trained(t, func(*artifact.Spec) {})
	restore(path, again)
	if !reflect.DeepEqual(again.State(), saved) {
		t.Error("the state is another after a restart")
	}
	images, targets, _ := sample(rng, tinyBatch)
	for _, x := range []*runtime.Trainer{tr, again} {
		if _, err := x.Step(images, targets, rows(t, x, 12, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(again.State(), tr.State()) {
		t.Error("the run goes on in another way after a restart")
	}
	restore(path, full)
	if s := full.State(); !slices.Equal(s.Params, saved.Params) || s.LossScale != nil {
		t.Error("a run in float32 does not take the state over")
	}
	if err := runtime.WriteCheckpoint(path, full.Manifest(), full.Snapshot()); err != nil {
		t.Fatal(err)
	}
	restore(path, again)
	if s := again.State(); !slices.Equal(s.Params, saved.Params) || !slices.Equal(s.LossScale, again.Manifest().Precision.First()) {
		t.Errorf("a run in mixed precision does not take the state over: scale %v", s.LossScale)
	}
}

// TestMixedSpecs: whatever else a step may have, in mixed precision its gradient
// is that of float32 up to float16's rounding.
func TestMixedSpecs(t *testing.T) {
	const batch = 32
	for name, change := range map[string]func(*artifact.Spec){
		"frozen norms": func(s *artifact.Spec) {
			s.FreezeNorms = true
			s.Freeze = func(n string) bool { return strings.HasPrefix(n, "conv1") || strings.Contains(n, "bn1") }
		},
		"a teacher": func(s *artifact.Spec) { s.Distillation = artifact.SoftDivergence },
		"sigmoids":  func(s *artifact.Spec) { s.Loss = artifact.BCELoss },
		"focal":     func(s *artifact.Spec) { s.Loss, s.Focal = artifact.FocalLoss, artifact.Focal{Gamma: 2} },
		"gates, draws": func(s *artifact.Spec) {
			s.Config.Options = map[string]string{"se": "true", "dropout": "0.2", "stochastic_depth": "0.3"}
		},
		"clipped":            func(s *artifact.Spec) { s.Gradient = []string{"clip_norm", "agc"} },
		"rates of layers":    func(s *artifact.Spec) { s.LayerDecay = 0.7 },
		"an auxiliary loss":  func(s *artifact.Spec) { s.Model, s.Config.Input = "amoebanet_b_1_16", [3]int{1, 16, 16} },
		"products in update": func(s *artifact.Spec) { s.Optimizer = "muon" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var updates, losses [2][]float32
			for i, precision := range []*artifact.Mixed{nil, {LossScale: 1024}} {
				tr := trained(t, func(s *artifact.Spec) { s.Batch = batch; change(s); s.Precision = precision })
				in := tr.Manifest().Model.Input
				rng := newRand(6)
				images, targets := make([]float32, batch*in[0]*in[1]*in[2]), make([]float32, batch*tinyClasses)
				for k := range images {
					images[k] = float32(rng.NormFloat64())
				}
				inputs := runtime.Inputs{Images: images, Targets: targets}
				for k := range batch {
					targets[k*tinyClasses+k%tinyClasses] = 1
				}
				if tr.Manifest().Distillation != "" {
					for range targets {
						inputs.Teacher = append(inputs.Teacher, float32(rng.NormFloat64()))
					}
				}
				before := tr.State()
				r, err := tr.StepInputs(inputs, rows(t, tr, 0, 1), 0, 1)
				if err != nil || r.Skipped {
					t.Fatal(r.Skipped, err)
				}
				losses[i] = []float32{r.Loss}
				after := tr.View()
				for k, p := range after.Params {
					updates[i] = append(updates[i], p-before.Params[k])
				}
			}
			var diff, size float64
			for k, w := range updates[0] {
				d := float64(updates[1][k]) - float64(w)
				diff, size = diff+d*d, size+float64(w)*float64(w)
			}
			t.Logf("updates are %.2g apart, losses %.2g", math.Sqrt(diff/size), apart(losses[1], losses[0]))
			if d := math.Sqrt(diff / size); d > 0.15 || d == 0 {
				t.Errorf("the updates are %.2g apart", d)
			}
			if d := apart(losses[1], losses[0]); d > 5e-3 {
				t.Errorf("the losses are %.2g apart", d)
			}
		})
	}
}

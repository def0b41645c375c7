package runtime_test

import (
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

const (
	tinyBatch   = 4
	tinyClasses = 3
	tinySize    = 1 * 8 * 8
)

var tinyDir = sync.OnceValues(func() (string, error) {
	set, err := artifact.Build(artifact.Spec{
		Model: "resnet8", Config: models.Config{Classes: tinyClasses, Input: [3]int{1, 8, 8}},
		Optimizer: "sgd", Batch: tinyBatch, Seed: 7,
	})
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "ortrain-test-")
	if err != nil {
		return "", err
	}
	return dir, set.Write(dir)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := tinyDir(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// tiny returns the folder of a small artifact set.
func tiny(t testing.TB) string {
	t.Helper()
	ortest.Open(t)
	dir, err := tinyDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func trainer(t testing.TB) *runtime.Trainer {
	t.Helper()
	tr, err := runtime.NewTrainer(tiny(t), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// sample makes labelled noise whose mean tells its class.
func sample(rng *rand.Rand, n int) (images, targets []float32, labels []int) {
	images, targets, labels = make([]float32, n*tinySize), make([]float32, n*tinyClasses), make([]int, n)
	for i := range labels {
		labels[i] = rng.IntN(tinyClasses)
		targets[i*tinyClasses+labels[i]] = 1
		for j := range tinySize {
			images[i*tinySize+j] = float32(rng.NormFloat64()) + 2*float32(labels[i]-1)
		}
	}
	return images, targets, labels
}

func hyper(t testing.TB, tr *runtime.Trainer, lr float32) []float32 {
	t.Helper()
	h, err := tr.Hyper(map[string]float32{"lr": lr})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func step(t testing.TB, tr *runtime.Trainer, rng *rand.Rand, lr float32) float32 {
	t.Helper()
	images, targets, _ := sample(rng, tinyBatch)
	r, err := tr.Step(images, targets, hyper(t, tr, lr))
	if err != nil {
		t.Fatal(err)
	}
	return r.Loss
}

// TestStepsMatchTheBareSession runs steps beside a session whose tensors are
// all made anew for every run: swapping banks changes nothing.
func TestStepsMatchTheBareSession(t *testing.T) {
	tr := trainer(t)
	bare, err := runtime.NewSession(filepath.Join(tiny(t), artifact.StepFile), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	m := tr.Manifest()
	state := m.InitialState()
	if !reflect.DeepEqual(tr.State(), state) {
		t.Fatal("the trainer does not start from the initial state")
	}
	rng := newRand(1)
	for n := range 5 {
		images, targets, _ := sample(rng, tinyBatch)
		h := hyper(t, tr, 0.1/float32(n+1))
		r, err := tr.Step(images, targets, h)
		if err != nil {
			t.Fatal(err)
		}
		next := m.InitialState()
		logits := make([]float32, tinyBatch*tinyClasses)
		loss, err := runtime.NewScalar(0)
		if err != nil {
			t.Fatal(err)
		}
		defer loss.Close()
		norm, err := runtime.NewScalar(0)
		if err != nil {
			t.Fatal(err)
		}
		defer norm.Close()
		p, s := int64(m.ParamCount()), int64(m.StatCount())
		in := map[string]*runtime.Tensor{
			artifact.Images: ortest.Tensor(t, images, tinyBatch, 1, 8, 8), artifact.Targets: ortest.Tensor(t, targets, tinyBatch, tinyClasses),
			artifact.Params: ortest.Tensor(t, state.Params, p), artifact.Stats: ortest.Tensor(t, state.Stats, s),
		}
		out := map[string]*runtime.Tensor{
			artifact.Params + artifact.OutSuffix: ortest.Tensor(t, next.Params, p), artifact.Stats + artifact.OutSuffix: ortest.Tensor(t, next.Stats, s),
			artifact.Logits: ortest.Tensor(t, logits, tinyBatch, tinyClasses), artifact.Loss: loss, artifact.GradientNorm: norm,
		}
		for i, slot := range m.Slots {
			in[slot.Name] = ortest.Tensor(t, state.Slots[i], p)
			out[slot.Name+artifact.OutSuffix] = ortest.Tensor(t, next.Slots[i], p)
		}
		for i, v := range h {
			x, err := runtime.NewScalar(v)
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			in[m.Hyper[i].Name] = x
		}
		if err := bare.Run(in, out); err != nil {
			t.Fatal(err)
		}
		state = next
		if r.Loss != loss.Scalar() || !slices.Equal(r.Logits, logits) || !reflect.DeepEqual(tr.State(), state) {
			t.Fatalf("step %d differs: losses %v and %v", n, r.Loss, loss.Scalar())
		}
	}
	if tr.Steps() != 5 {
		t.Errorf("%d steps are counted", tr.Steps())
	}
}

func TestBanksSwap(t *testing.T) {
	tr := trainer(t)
	rng := newRand(3)
	view := tr.View()
	before := tr.State()
	step(t, tr, rng, 0.1)
	if !slices.Equal(view.Params, before.Params) {
		t.Error("a view changed with the next step")
	}
	after := tr.View()
	if &after.Params[0] == &view.Params[0] || slices.Equal(after.Params, before.Params) {
		t.Error("the step did not move the state to the other bank")
	}
	step(t, tr, rng, 0.1)
	if again := tr.View(); &again.Params[0] != &view.Params[0] {
		t.Error("the second step used a third bank")
	}
	// With a learning rate of zero the parameters stay, the statistics move.
	still := tr.State()
	step(t, tr, rng, 0)
	now := tr.State()
	if !slices.Equal(still.Params, now.Params) || slices.Equal(still.Stats, now.Stats) {
		t.Error("a step without a learning rate changed the parameters or kept the statistics")
	}
}

func TestTrainingLearns(t *testing.T) {
	tr := trainer(t)
	e, err := runtime.NewEvaluator(tiny(t), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rng := newRand(5)
	images, _, labels := sample(rng, 50)
	test := []runtime.Batch{{Images: images[:20*tinySize], Labels: labels[:20]}, {}, {Images: images[20*tinySize:], Labels: labels[20:]}}
	before, err := e.Evaluate(tr.View(), all(test))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 200 {
		step(t, tr, rng, 0.05*(1-float32(n)/200))
	}
	after, err := e.Evaluate(tr.View(), all(test))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("accuracy %.2f to %.2f, loss %.3f to %.3f", before.Accuracy(), after.Accuracy(), before.MeanLoss(), after.MeanLoss())
	if after.Samples != 50 || after.Accuracy() < 0.9 || after.MeanLoss() >= before.MeanLoss() {
		t.Errorf("after training: %+v", after)
	}
}

func all(batches []runtime.Batch) iter.Seq2[runtime.Batch, error] {
	return func(yield func(runtime.Batch, error) bool) {
		for _, b := range batches {
			if !yield(b, nil) {
				return
			}
		}
	}
}

func TestNonFiniteLoss(t *testing.T) {
	tr := trainer(t)
	rng := newRand(7)
	step(t, tr, rng, 0.1)
	before := tr.State()
	images, targets, _ := sample(rng, tinyBatch)
	images[5] = float32(math.NaN())
	_, err := tr.Step(images, targets, hyper(t, tr, 0.1))
	var nf *runtime.NonFiniteError
	if !errors.Is(err, runtime.ErrNonFinite) || !errors.As(err, &nf) || nf.Step != 1 || !strings.Contains(err.Error(), "at step 1") {
		t.Fatalf("a NaN among the images: %v", err)
	}
	if !reflect.DeepEqual(before, tr.State()) || tr.Steps() != 1 {
		t.Error("the failed step changed the state")
	}
	step(t, tr, rng, 0.1) // and training can go on
}

// TestNonFiniteGradient: a gradient beyond all bounds is an error though the
// loss is a number.
func TestNonFiniteGradient(t *testing.T) {
	tr := trainer(t)
	state := tr.State()
	last := tr.Manifest().Parameters[len(tr.Manifest().Parameters)-2:]
	for _, p := range last {
		for i := range p.Size {
			state.Params[p.Offset+i] *= 1e22
		}
	}
	if err := tr.SetState(state); err != nil {
		t.Fatal(err)
	}
	images, targets, _ := sample(newRand(7), tinyBatch)
	_, err := tr.Step(images, targets, hyper(t, tr, 0.1))
	var nf *runtime.NonFiniteError
	if !errors.As(err, &nf) || math.IsInf(float64(nf.Loss), 0) || !math.IsInf(float64(nf.GradientNorm), 1) || !strings.Contains(err.Error(), "the norm of the gradient is +Inf") {
		t.Fatalf("%v", err)
	}
	if !reflect.DeepEqual(state, tr.State()) {
		t.Error("the failed step changed the state")
	}
}

// TestGradientNorm: plain gradient descent moves the parameters by the rate
// times the gradient.
func TestGradientNorm(t *testing.T) {
	tr := trainer(t)
	images, targets, _ := sample(newRand(7), tinyBatch)
	before := tr.State()
	h, err := tr.Hyper(map[string]float32{"lr": 0.5, "momentum": 0, "weight_decay": 0})
	if err != nil {
		t.Fatal(err)
	}
	r, err := tr.Step(images, targets, h)
	if err != nil {
		t.Fatal(err)
	}
	squares := 0.0
	for i, p := range tr.View().Params {
		d := float64(before.Params[i]-p) / 0.5
		squares += d * d
	}
	if got, want := float64(r.GradientNorm), math.Sqrt(squares); math.Abs(got-want) > 1e-4*want {
		t.Errorf("norm %v, the parameters moved by %v", got, want)
	}
}

func TestStepRefuses(t *testing.T) {
	tr := trainer(t)
	images, targets, _ := sample(newRand(9), tinyBatch)
	h := hyper(t, tr, 0.1)
	for name, c := range map[string]struct {
		images, targets, hyper []float32
		says                   string
	}{
		"images":  {images[1:], targets, h, "images: tensor of shape [4 1 8 8] holds 256 elements, not 255"},
		"targets": {images, nil, h, "targets: tensor of shape [4 3] holds 12 elements, not 0"},
		"hyper":   {images, targets, h[1:], "hyper-parameters given; the step takes"},
	} {
		if _, err := tr.Step(c.images, c.targets, c.hyper); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := tr.Hyper(map[string]float32{"lr": 1, "larning_rate": 1}); err == nil || !strings.Contains(err.Error(), "no hyper-parameter larning_rate; it has lr") {
		t.Errorf("an unknown hyper-parameter: %v", err)
	}
	for _, spoil := range []func(*artifact.State){
		func(s *artifact.State) { s.Params = s.Params[1:] },
		func(s *artifact.State) { s.Stats = nil },
		func(s *artifact.State) { s.Slots = nil },
		func(s *artifact.State) { s.Slots[0] = s.Slots[0][1:] },
	} {
		s := tr.State()
		spoil(s)
		if err := tr.SetState(s); err == nil {
			t.Error("a state of the wrong size passed")
		}
	}
	tr.Close()
	tr.Close()
	if _, err := tr.Step(images, targets, h); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a closed trainer: %v", err)
	}
}

func TestTrainerRefusesSets(t *testing.T) {
	source := tiny(t)
	set := func(change func(dir string)) string {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
			t.Fatal(err)
		}
		change(dir)
		return dir
	}
	for name, dir := range map[string]string{
		"empty folder": t.TempDir(),
		"changed step": set(func(dir string) { os.WriteFile(filepath.Join(dir, artifact.StepFile), []byte("x"), 0o644) }),
		"no eval":      set(func(dir string) { os.Remove(filepath.Join(dir, artifact.EvalFile)) }),
		"cut manifest": set(func(dir string) { os.Truncate(filepath.Join(dir, artifact.ManifestFile), 100) }),
	} {
		if tr, err := runtime.NewTrainer(dir, runtime.Options{}); err == nil || !strings.Contains(err.Error(), dir) {
			tr.Close()
			t.Errorf("%s: %v", name, err)
		}
		if _, err := runtime.NewEvaluator(dir, runtime.Options{}); err == nil {
			t.Errorf("%s: an evaluator was made", name)
		}
	}
}

func TestEvaluatorIsConcurrent(t *testing.T) {
	tr := trainer(t)
	e, err := runtime.NewEvaluator(tiny(t), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	state := tr.State()
	images, _, labels := sample(newRand(1), 24)
	want, err := e.Evaluate(state, all([]runtime.Batch{{Images: images, Labels: labels}}))
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for g := range 6 {
		wait.Go(func() {
			// Different batch sizes, the same images.
			var parts []runtime.Batch
			for i := 0; i < 24; i += g + 1 {
				j := min(24, i+g+1)
				parts = append(parts, runtime.Batch{Images: images[i*tinySize : j*tinySize], Labels: labels[i:j]})
			}
			got, err := e.Evaluate(state, all(parts))
			if err != nil || got.Top1 != want.Top1 || math.Abs(got.Loss-want.Loss) > 1e-4*want.Loss {
				t.Errorf("batches of %d: %+v, %v; want %+v", g+1, got, err, want)
			}
		})
	}
	wait.Wait()
}

func TestEvaluatorRefuses(t *testing.T) {
	tr := trainer(t)
	e, err := runtime.NewEvaluator(tiny(t), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	images, _, labels := sample(newRand(1), 4)
	own := errors.New("data file is gone")
	for name, c := range map[string]struct {
		batches iter.Seq2[runtime.Batch, error]
		says    string
	}{
		"sizes":      {all([]runtime.Batch{{Images: images[1:], Labels: labels}}), "255 values given for 4 images of 1×8×8"},
		"label":      {all([]runtime.Batch{{Images: images, Labels: []int{0, 1, 2, 3}}}), "label 3 of image 3: the model has the classes 0 to 2"},
		"own error":  {func(yield func(runtime.Batch, error) bool) { yield(runtime.Batch{}, own) }, own.Error()},
		"no batches": {all(nil), ""},
	} {
		_, err := e.Evaluate(tr.View(), c.batches)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := tr.State()
	s.Stats = s.Stats[1:]
	if _, err := e.Evaluate(s, all(nil)); err == nil {
		t.Error("a state of the wrong size passed")
	}
	s = tr.State()
	s.Params[0] = float32(math.NaN())
	if _, err := e.Evaluate(s, all([]runtime.Batch{{Images: images, Labels: labels}})); !errors.Is(err, runtime.ErrNonFinite) {
		t.Errorf("a parameter that is NaN: %v", err)
	}
}

// TestStepAllocates few objects: a step must not feed the garbage collector.
func TestStepAllocatesLittle(t *testing.T) {
	tr := trainer(t)
	images, targets, _ := sample(newRand(1), tinyBatch)
	h := hyper(t, tr, 0.01)
	n := testing.AllocsPerRun(50, func() {
		h[0] *= 0.99
		if _, err := tr.Step(images, targets, h); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%g objects a step", n)
	if n > 60 {
		t.Errorf("%g objects are allocated in a step", n)
	}
}

package golden_test

import (
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tools/parity/golden"
)

// The tolerances, relative to a tensor's largest element and to each loss.
// testdata/golden/README.md has PyTorch's own figures: 1e-5 for both.
const (
	stepTolerance  = 1e-4
	curveTolerance = 1e-3
)

const steps = 20

type network struct {
	name, file, prefix, model string
	options                   map[string]string
}

var networks = []network{
	{"resnet20", "resnet20_step", "", "resnet20", nil},
	{"resnet8-b", "resnet8_variants", "b.", "resnet8", map[string]string{"shortcut": "B"}},
	{"preact-resnet8-a", "resnet8_variants", "preact_a.", "resnet8", map[string]string{"preact": "true"}},
	{"preact-resnet8-b", "resnet8_variants", "preact_b.", "resnet8", map[string]string{"preact": "true", "shortcut": "B"}},
}

var curves = []struct {
	name     string
	nesterov string
	decay    float32
	exclude  bool
}{
	{"sgd", "false", 1e-4, false},
	{"nesterov", "true", 1e-4, true},
	{"sgd_decay", "false", 0.2, false},
	{"nesterov_decay", "true", 0.2, true},
}

// job is a network beside its golden.
type job struct {
	network
	golden      *golden.Golden
	batch, salt int
}

func open(t *testing.T, n network) job {
	t.Helper()
	g, err := golden.Open("../../../testdata/golden/"+n.file+".safetensors", n.prefix)
	if err != nil {
		t.Fatal(err)
	}
	j := job{network: n, golden: g}
	if j.batch, err = g.Number("batch"); err != nil {
		t.Fatal(err)
	}
	if j.salt, err = g.Number("salt"); err != nil {
		t.Fatal(err)
	}
	return j
}

func (j job) values(t *testing.T, name string) []float64 {
	t.Helper()
	v, err := j.golden.Values(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// layout is how the step is lowered.
type layout struct {
	name  string
	block int
}

func layouts() []layout {
	out := []layout{{"plain", 0}}
	if b := runtime.ChannelBlock(); b > 0 {
		out = append(out, layout{"blocked", b})
	}
	return out
}

// trainer builds the artifacts and a trainer in the golden's initial state.
func (j job) trainer(t *testing.T, nesterov string, exclude bool, l layout) (*runtime.Trainer, string) {
	t.Helper()
	dir := ortest.Artifacts(t, artifact.Spec{
		Model: j.model, Batch: j.batch, Optimizer: "sgd",
		Config:             models.Config{Classes: golden.Classes, Input: [3]int{3, golden.Size, golden.Size}, Options: j.options},
		OptimizerOptions:   map[string]string{"nesterov": nesterov},
		ExcludeNormAndBias: exclude,
		Lowering:           lower.Options{Block: l.block},
	})
	tr, err := runtime.NewTrainer(dir, runtime.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	if err := golden.Start(tr); err != nil {
		t.Fatal(err)
	}
	return tr, dir
}

// step takes step number at of the golden.
func (j job) step(t *testing.T, tr *runtime.Trainer, at int, decay float32) runtime.StepResult {
	t.Helper()
	hyper, err := tr.Hyper(map[string]float32{"lr": 0.01, "momentum": 0.9, "weight_decay": decay})
	if err != nil {
		t.Fatal(err)
	}
	images, targets := golden.Batch(j.salt, at, j.batch, golden.Size)
	r, err := tr.Step(images, targets, hyper)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFormula compares the inputs with the digests of PyTorch's.
func TestFormula(t *testing.T) {
	if w := golden.NewStream("conv1.weight").Word(0); w != 0x8b8a08a85128a1b0 {
		t.Errorf("first word of conv1.weight is %#x", w)
	}
	for _, n := range networks {
		j := open(t, n)
		images, targets := golden.Batch(j.salt, 0, j.batch, golden.Size)
		for name, values := range map[string][]float32{"images": images, "targets": targets, "state": j.state(t)} {
			if got, want := golden.Digest(values), j.golden.Meta("sha256."+name); got != want {
				t.Errorf("%s: %s have digest %s, want %s", n.name, name, got, want)
			}
		}
	}
}

// state returns parameters and statistics one after another, ordered by name.
func (j job) state(t *testing.T) []float32 {
	t.Helper()
	set, err := artifact.Build(artifact.Spec{
		Model: j.model, Batch: 1, Optimizer: "sgd",
		Config: models.Config{Classes: golden.Classes, Input: [3]int{3, golden.Size, golden.Size}, Options: j.options},
	})
	if err != nil {
		t.Fatal(err)
	}
	tensors := slices.Concat(set.Manifest.Parameters, set.Manifest.Statistics)
	slices.SortFunc(tensors, func(a, b artifact.TensorInfo) int { return strings.Compare(a.Name, b.Name) })
	var out []float32
	for _, i := range tensors {
		out = append(out, golden.Initial(i.Name, i.Shape)...)
	}
	return out
}

// TestStep compares one step with PyTorch's: loss, logits, every gradient and
// the running statistics. Without decay the momentum buffer after the first
// step is the gradient itself.
func TestStep(t *testing.T) {
	ortest.Open(t)
	for _, n := range networks {
		for _, l := range layouts() {
			t.Run(n.name+"/"+l.name, func(t *testing.T) {
				j := open(t, n)
				tr, _ := j.trainer(t, "false", false, l)
				r := j.step(t, tr, 0, 0)
				golden.Within(t, "the loss", []float32{r.Loss}, j.values(t, "loss"), stepTolerance)
				golden.Within(t, "the logits", r.Logits, j.values(t, "logits"), stepTolerance)
				m, s := tr.Manifest(), tr.State()
				worst, where := 0.0, ""
				for _, p := range m.Parameters {
					got := s.Slots[0][p.Offset : p.Offset+p.Size]
					if e := golden.Within(t, "the gradient of "+p.Name, got, j.values(t, "grad."+p.Name), stepTolerance); e > worst {
						worst, where = e, p.Name
					}
				}
				for _, p := range m.Statistics {
					golden.Within(t, p.Name, s.Stats[p.Offset:p.Offset+p.Size], j.values(t, "stats."+p.Name), stepTolerance)
				}
				t.Logf("worst gradient: %s, off by %.1e", where, worst)
			})
		}
	}
}

// TestCurve compares 20 steps with PyTorch's, and the running statistics at
// their end.
func TestCurve(t *testing.T) {
	ortest.Open(t)
	ls := layouts()
	for _, n := range networks {
		for i, c := range curves {
			if n.prefix != "" && i > 0 {
				continue
			}
			t.Run(n.name+"/"+c.name, func(t *testing.T) {
				j := open(t, n)
				tr, _ := j.trainer(t, c.nesterov, c.exclude, ls[len(ls)-1])
				want := j.values(t, "curve."+c.name+".float64")
				worst := 0.0
				for at := range steps {
					loss := j.step(t, tr, at, c.decay).Loss
					worst = max(worst, golden.Within(t, "the loss", []float32{loss}, want[at:at+1], curveTolerance))
				}
				t.Logf("worst loss off by %.1e", worst)
				if c.name != "sgd" {
					return
				}
				s := tr.State()
				for _, p := range tr.Manifest().Statistics {
					golden.Within(t, p.Name, s.Stats[p.Offset:p.Offset+p.Size], j.values(t, "stats20."+p.Name), curveTolerance)
				}
			})
		}
	}
}

// TestEval compares the evaluation graph, which uses the running statistics,
// with PyTorch's evaluation mode.
func TestEval(t *testing.T) {
	ortest.Open(t)
	for _, n := range networks {
		t.Run(n.name, func(t *testing.T) {
			j := open(t, n)
			tr, dir := j.trainer(t, "false", false, layout{})
			e, err := runtime.NewEvaluator(dir, runtime.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			images, _ := golden.Batch(j.salt, 0, j.batch, golden.Size)
			logits := j.values(t, "eval.logits")
			labels := make([]int, j.batch)
			want := 0.0
			for i := range labels {
				labels[i] = i % golden.Classes
				want += crossEntropy(logits[i*golden.Classes:(i+1)*golden.Classes], labels[i])
			}
			var batches iter.Seq2[runtime.Batch, error] = func(yield func(runtime.Batch, error) bool) {
				yield(runtime.Batch{Images: images, Labels: labels}, nil)
			}
			score, err := e.Evaluate(tr.View(), batches)
			if err != nil {
				t.Fatal(err)
			}
			golden.Within(t, "the loss", []float32{float32(score.Loss)}, []float64{want}, stepTolerance)
		})
	}
}

// crossEntropy is −log softmax(logits)[label].
func crossEntropy(logits []float64, label int) float64 {
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(v - logits[label])
	}
	return math.Log(sum)
}

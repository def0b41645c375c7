package runtime_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/check"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

var long = flag.Bool("long", false, "take TestNetworks through every registered network (hours, 20 GiB)")

// TestNetworks takes a member of every family through two steps, exports it and
// reads it back: the exported model gives the logits of the evaluation graph,
// for another number of images.
func TestNetworks(t *testing.T) {
	ortest.Open(t)
	type network struct {
		model   string
		options map[string]string
		size    int
	}
	cases := []network{
		{"resnet8", map[string]string{"se": "true", "dropout": "0.2", "stochastic_depth": "0.2"}, 16},
		{"resnet18", map[string]string{"preact": "true", "stem": "imagenet", "variant": "D"}, 33},
		{"wrn10_1", nil, 16},
		{"shake26_2x32d", nil, 8},
		{"pyramidnet20_a24", map[string]string{"shakedrop": "0.5"}, 9},
		{"pyramidnet29_a24", map[string]string{"shakedrop": "0.5", "shakedrop_level": "batch"}, 8},
		{"amoebanet_b_1_16", map[string]string{"drop_path": "0.3"}, 17},
		{"resnext50_32x4d", map[string]string{"stem": "imagenet"}, 33},
	}
	if *long {
		cases = nil
		for _, name := range models.Names() {
			cases = append(cases, network{name, nil, 32})
		}
	}
	for _, c := range cases {
		t.Run(strings.TrimSuffix(fmt.Sprintf("%s_%v", c.model, c.options), "_map[]"), func(t *testing.T) {
			const batch, classes = 4, 5
			set, err := artifact.Build(artifact.Spec{
				Model: c.model, Config: models.Config{Classes: classes, Input: [3]int{3, c.size, c.size}, Options: c.options},
				Optimizer: "sgd", Batch: batch, Seed: 3, Lowering: lower.Options{Block: runtime.ChannelBlock()},
			})
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := set.Write(dir); err != nil {
				t.Fatal(err)
			}
			if !*long {
				for _, f := range []string{artifact.StepFile, artifact.EvalFile, artifact.InferFile} {
					if _, err := check.File(filepath.Join(dir, f)); err != nil {
						t.Errorf("%s: %v", f, err)
					}
				}
			}
			tr, err := runtime.NewTrainer(dir, runtime.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			start := slices.Clone(tr.State().Params)
			hyper, err := tr.Hyper(map[string]float32{"lr": 0.01})
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 1))
			images := make([]float32, batch*3*c.size*c.size)
			for i := range images {
				images[i] = float32(r.NormFloat64())
			}
			targets := make([]float32, batch*classes)
			for i := range batch {
				targets[i*classes+i%classes] = 1
			}
			for step := range 2 {
				r, err := tr.Step(images, targets, hyper)
				if err != nil {
					t.Fatal(err)
				}
				if loss := float64(r.Loss); math.IsNaN(loss) || loss <= 0 || loss > 100 {
					t.Fatalf("the loss of step %d is %g", step, loss)
				}
			}
			state := tr.State()
			for _, p := range set.Manifest.Parameters {
				if slices.Equal(start[p.Offset:p.Offset+p.Size], state.Params[p.Offset:p.Offset+p.Size]) {
					t.Errorf("two steps left %s as it was", p.Name)
				}
			}
			evaluator, err := runtime.NewEvaluator(dir, runtime.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer evaluator.Close()
			const some = 3
			want, err := evaluator.Logits(t.Context(), state, runtime.Batch{Images: images[:some*3*c.size*c.size]}, some)
			if err != nil {
				t.Fatal(err)
			}
			model, err := set.Manifest.InferModel(state.Params, state.Stats, nil)
			if err != nil {
				t.Fatal(err)
			}
			data, err := onnx.Marshal(model)
			if err != nil {
				t.Fatal(err)
			}
			again, err := runtime.NewClassifierFromBytes("infer", data, runtime.ModelInfo{}, runtime.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			got, err := again.Logits(images[:some*3*c.size*c.size], some)
			if err != nil {
				t.Fatal(err)
			}
			top := 0.0
			for _, v := range want {
				top = max(top, math.Abs(float64(v)))
			}
			for i, v := range want {
				if d := math.Abs(float64(got[i] - v)); !(d <= 1e-4*top) {
					t.Errorf("logit %d of the exported model is %g, of the evaluation %g", i, got[i], v)
				}
			}
		})
	}
}

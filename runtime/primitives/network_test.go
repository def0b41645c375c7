package primitives

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/autodiff"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/nn"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// networkTolerance of the gradients of a whole network, relative to the
// largest element of each tensor: rounding errors pass through every layer.
const networkTolerance = 2e-5

// noGradient is the share of a network's largest gradient below which that of a
// whole tensor is none.
const noGradient = 1e-6

func largest(t reference.Tensor) float64 {
	m := 0.0
	for _, x := range t.Data {
		m = max(m, math.Abs(x))
	}
	return m
}

// trainingGraph builds loss, logits, statistics and the gradient of every
// parameter of a model as outputs, and draws inputs for it.
func trainingGraph(t *testing.T, name string, c models.Config, batch int) (*ir.Graph, map[string]reference.Tensor) {
	t.Helper()
	m, ok := models.Lookup(name)
	if !ok {
		t.Fatalf("no model %s", name)
	}
	c, err := m.Resolve(c)
	if err != nil {
		t.Fatal(err)
	}
	g := ir.New(name)
	images := g.Input("images", ir.F32(batch, c.Input[0], c.Input[1], c.Input[2]))
	targets := g.Input("targets", ir.F32(batch, c.Classes))
	src := &nn.Collector{G: g}
	b := &nn.Builder{G: g, Source: src, Training: true}
	logits := m.Forward(b, images, c)
	loss := g.Apply("loss", ir.SoftmaxCrossEntropy{}, logits, targets)[0]
	for _, a := range b.Auxiliary {
		part := g.Apply("loss.auxiliary", ir.SoftmaxCrossEntropy{}, a.Logits, targets)[0]
		loss = g.One("", ir.Binary{F: ir.Add}, loss, g.One("", ir.Binary{F: ir.Mul}, part, g.Scalar(a.Weight)))
	}
	g.Output("loss", loss)
	g.Output("logits", logits)
	for _, u := range b.StatUpdates {
		g.Output("batch."+u.Name, u.Batch)
	}

	r := seeded(8)
	inputs := map[string]reference.Tensor{"images": r.normal(0, 1, images.Shape...), "targets": reference.Zeros(targets.Shape)}
	for i := range batch {
		inputs["targets"].Data[i*c.Classes+i%c.Classes] = 1
	}
	values := map[string]*ir.Value{}
	for _, v := range g.Inputs {
		values[v.Name] = v
	}
	var params []*ir.Value
	for _, p := range src.Layout.Params {
		mean, std := 0.0, 0.2
		switch {
		case p.Norm && !p.Bias:
			mean = 1
		case p.Init.Fan > 0:
			std = math.Sqrt(2 / float64(p.Init.Fan))
		}
		inputs[p.Name] = r.normal(mean, std, p.Shape...)
		params = append(params, values[p.Name])
	}
	for _, s := range src.Layout.Stats {
		inputs[s.Name] = reference.Zeros(s.Shape)
	}
	for _, draw := range src.Layout.Random {
		x := r.between(0, 1, draw.Shape...)
		for i, u := range x.Data {
			switch {
			case draw.Keep == 0:
			case u < draw.Keep:
				x.Data[i] = float64(float32(1 / draw.Keep))
			default:
				x.Data[i] = 0
			}
		}
		inputs[draw.Name] = x
	}
	grads, err := autodiff.Gradients(g, loss, nil, params)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range grads {
		g.Output("grad."+params[i].Name, d)
	}
	return g, inputs
}

// TestNetworks runs forward, loss and backward of whole networks on ONNX
// Runtime and compares every output with the float64 interpreter.
func TestNetworks(t *testing.T) {
	ortest.Open(t)
	small := [3]int{3, 8, 8}
	for _, c := range []struct {
		model   string
		options map[string]string
		input   [3]int
		batch   int
	}{
		{"resnet8", map[string]string{"shortcut": "A"}, small, 3},
		{"resnet8", map[string]string{"shortcut": "B"}, small, 3},
		{"resnet8", map[string]string{"preact": "true"}, small, 3},
		{"resnet8", map[string]string{"preact": "true", "shortcut": "B"}, small, 3},
		{"resnet8", nil, [3]int{1, 28, 28}, 2},
		{"resnet8", map[string]string{"shortcut": "B"}, [3]int{1, 9, 7}, 4},
		{"resnet8", nil, [3]int{3, 17, 19}, 1},
		{"resnet20", nil, small, 4},
		{"resnet8", nil, small, 16},
		{"resnet8", map[string]string{"shortcut": "B"}, [3]int{1, 12, 12}, 16},
		{"wrn10_1", nil, small, 3},
		{"wrn16_2", nil, small, 4},
		{"resnet18", map[string]string{"stem": "imagenet", "variant": "D"}, [3]int{3, 36, 36}, 2},
		{"resnet8", map[string]string{"se": "true", "dropout": "0.3", "stochastic_depth": "0.5"}, [3]int{3, 9, 7}, 4},
		{"resnet18", map[string]string{"preact": "true", "stem": "imagenet"}, [3]int{3, 36, 36}, 2},
		{"shake26_2x32d", nil, [3]int{1, 9, 7}, 2},
		{"pyramidnet20_a24", map[string]string{"shakedrop": "0.5"}, [3]int{3, 9, 11}, 3},
		{"amoebanet_b_1_16", map[string]string{"drop_path": "0.3"}, [3]int{3, 17, 16}, 4},
	} {
		t.Run(fmt.Sprintf("%s_%s_%v_%d", c.model, strings.TrimPrefix(fmt.Sprint(c.options), "map"), c.input, c.batch), func(t *testing.T) {
			g, inputs := trainingGraph(t, c.model, models.Config{Classes: 10, Input: c.input, Options: c.options}, c.batch)
			want, err := reference.Run(g, inputs)
			if err != nil {
				t.Fatal(err)
			}
			top := 0.0
			for name, w := range want {
				if strings.HasPrefix(name, "grad.") {
					top = max(top, largest(w))
				}
			}
			tolerance := networkTolerance
			if ortest.Provider() == lower.CUDA {
				tolerance *= deviceTolerance / 1e-5
			}
			switch c.model {
			case "amoebanet_b_1_16":
				tolerance *= 5 // three times as deep
			case "resnet18":
				// Norms over the 8 values of its last maps: half a unit in the last
				// place of the inputs alone moves its gradients by 2.5e-6.
				tolerance *= 3
			}
			for layout, o := range variants() {
				for _, o.NoFusion = range []bool{false, true} {
					s := load(t, g, o)
					if _, err := s.run(poisoned(inputs)); err != nil {
						t.Fatal(err)
					}
					got, err := s.run(inputs)
					s.Close()
					if err != nil {
						t.Fatal(err)
					}
					worst, where := 0.0, ""
					for name, w := range want {
						if strings.HasPrefix(name, "grad.") && largest(w) < noGradient*top {
							// A shift that the next norm takes away again.
							if off := largest(got[name]); off > tolerance*top {
								t.Errorf("%s is %.2g, want 0 (%s, fused: %v)", name, off, layout, !o.NoFusion)
							}
							continue
						}
						d := reference.Distance(got[name], w)
						if d > tolerance {
							t.Errorf("%s is %.2g away from the reference (%s, fused: %v)", name, d, layout, !o.NoFusion)
						}
						if d > worst {
							worst, where = d, name
						}
					}
					t.Logf("%s, fused %v: %d tensors, largest distance %.1g in %s", layout, !o.NoFusion, len(want), worst, where)
				}
			}
		})
	}
}

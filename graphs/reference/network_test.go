package reference_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/autodiff"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/nn"
	"github.com/ortrain/ortrain/graphs/reference"
)

// network builds a model's training graph with separate inputs for images,
// targets and parameters, and draws numbers for all of them.
func network(t *testing.T, name string, options map[string]string, batch int) (
	g *ir.Graph, loss *ir.Value, params []*ir.Value, inputs map[string]reference.Tensor) {
	t.Helper()
	m, ok := models.Lookup(name)
	if !ok {
		t.Fatalf("no model %s", name)
	}
	c, err := m.Resolve(models.Config{Classes: 5, Input: [3]int{3, 8, 8}, Options: options})
	if err != nil {
		t.Fatal(err)
	}
	g = ir.New(name)
	images := g.Input("images", ir.F32(batch, 3, 8, 8))
	targets := g.Input("targets", ir.F32(batch, 5))
	src := &nn.Collector{G: g}
	logits := m.Forward(&nn.Builder{G: g, Source: src, Training: true}, images, c)
	loss = g.One("loss", ir.SoftmaxCrossEntropy{}, logits, targets)

	r := rand.New(rand.NewPCG(7, 7))
	inputs = map[string]reference.Tensor{"images": normal(r, images.Shape), "targets": reference.Zeros(targets.Shape)}
	for i := range batch {
		inputs["targets"].Data[i*5+i%5] = 0.9
		inputs["targets"].Data[i*5+(i+2)%5] = 0.1
	}
	values := map[string]*ir.Value{}
	for _, v := range g.Inputs {
		values[v.Name] = v
	}
	for _, p := range src.Layout.Params {
		x := normal(r, p.Shape)
		for i := range x.Data {
			switch {
			case p.Norm && !p.Bias:
				x.Data[i] = 1 + 0.2*x.Data[i]
			case p.Init.Fan > 0:
				x.Data[i] *= math.Sqrt(2 / float64(p.Init.Fan))
			default:
				x.Data[i] *= 0.2
			}
		}
		inputs[p.Name] = x
		params = append(params, values[p.Name])
	}
	// In training form the network reads the statistics of the batch.
	for _, s := range src.Layout.Stats {
		inputs[s.Name] = reference.Zeros(s.Shape)
	}
	return g, loss, params, inputs
}

// TestNetworkGradients compares the gradient of a whole network's loss with
// central differences, along random directions of each parameter tensor: the
// slope along d is ⟨gradient, d⟩.
func TestNetworkGradients(t *testing.T) {
	for _, options := range []map[string]string{
		{"shortcut": "A"}, {"shortcut": "B"}, {"preact": "true"}, {"preact": "true", "shortcut": "B"},
	} {
		t.Run(strings.TrimPrefix(fmt.Sprint(options), "map"), func(t *testing.T) {
			t.Parallel()
			g, loss, params, inputs := network(t, "resnet8", options, 3)
			forward := *g
			forward.Outputs = []ir.Output{{Name: "loss", Value: loss}}
			grads, err := autodiff.Gradients(g, loss, nil, params)
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range grads {
				g.Output("grad."+params[i].Name, d)
			}
			got := mustRun(t, g, inputs)

			r := rand.New(rand.NewPCG(1, 1))
			zero := 0
			for _, p := range params {
				x, grad := inputs[p.Name], got["grad."+p.Name]
				at := x.Clone()
				d := normal(r, p.Shape)
				along := func(s float64) float64 {
					for i := range x.Data {
						x.Data[i] = at.Data[i] + s*d.Data[i]
					}
					return mustRun(t, &forward, inputs)["loss"].Data[0]
				}
				slope, norm := 0.0, 0.0
				for i, e := range grad.Data {
					slope += e * d.Data[i]
					norm += e * e
				}
				if norm == 0 {
					zero++
				}
				// A difference that straddles the kink of a rectifier is off; a
				// smaller step gets clear of it, but not of an error.
				var want, off float64
				for _, step := range []float64{1e-6, 1e-7, 1e-8} {
					want = (along(step) - along(-step)) / (2 * step)
					off = math.Abs(slope-want) - 1e-14/step
					if off < 1e-6*math.Sqrt(norm) {
						break
					}
				}
				along(0)
				if off > 1e-6*math.Sqrt(norm) {
					t.Errorf("%s: slope %.9g along a random direction, central difference %.9g, gradient's norm %.3g", p.Name, slope, want, math.Sqrt(norm))
				}
			}
			if zero > 0 {
				t.Errorf("%d of %d parameters have a gradient of zero", zero, len(params))
			}
		})
	}
}

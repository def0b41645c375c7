package autodiff_test

import (
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/autodiff"
	"github.com/ortrain/ortrain/graphs/ir"
)

// The rules themselves are proven in graphs/reference (against differences)
// and runtime/primitives (on ONNX Runtime); here is what Gradients refuses.

func total(g *ir.Graph, v *ir.Value) *ir.Value {
	return g.One("", ir.Sum{Axes: 1<<len(v.Shape) - 1}, v)
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, want string
		build      func(g *ir.Graph) (loss *ir.Value, wrt []*ir.Value)
	}{
		{"loss is no scalar", "must be a scalar", func(g *ir.Graph) (*ir.Value, []*ir.Value) {
			x := g.Input("x", ir.F32(2))
			return x, []*ir.Value{x}
		}},
		{"independent", "depends on none", func(g *ir.Graph) (*ir.Value, []*ir.Value) {
			return total(g, g.Input("x", ir.F32(2))), []*ir.Value{g.Input("y", ir.F32(2))}
		}},
		{"no rule", `node "sign": operator Sign has no gradient`, func(g *ir.Graph) (*ir.Value, []*ir.Value) {
			x := g.Input("x", ir.F32(2))
			return total(g, g.One("sign", ir.Unary{F: ir.Sign}, x)), []*ir.Value{x}
		}},
		{"statistics in the loss", "batch statistics", func(g *ir.Graph) (*ir.Value, []*ir.Value) {
			x, c := g.Input("x", ir.F32(2, 3, 4, 4)), ir.F32(3)
			out := g.Apply("norm", ir.BatchNormTrain{Eps: 1e-5}, x, g.Input("a", c), g.Input("b", c))
			return total(g, out[1]), []*ir.Value{x}
		}},
		{"log-probabilities in the loss", "log-probabilities", func(g *ir.Graph) (*ir.Value, []*ir.Value) {
			z := g.Input("z", ir.F32(2, 3))
			out := g.Apply("ce", ir.SoftmaxCrossEntropy{}, z, g.Input("t", ir.F32(2, 3)))
			return total(g, out[1]), []*ir.Value{z}
		}},
		{"targets", "targets", func(g *ir.Graph) (*ir.Value, []*ir.Value) {
			y := g.Input("t", ir.F32(2, 3))
			return g.Apply("ce", ir.SoftmaxCrossEntropy{}, g.Input("z", ir.F32(2, 3)), y)[0], []*ir.Value{y}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := ir.New("g")
			loss, wrt := c.build(g)
			if _, err := autodiff.Gradients(g, loss, nil, wrt); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
		})
	}
}

// TestCast: behind a cast gradients are float16, before it float32.
func TestCast(t *testing.T) {
	g := ir.New("g")
	x := g.Input("x", ir.F32(2, 3))
	h := g.One("h", ir.Cast{To: ir.Float16}, x)
	y := g.One("y", ir.Cast{To: ir.Float32}, g.One("relu", ir.Unary{F: ir.Relu}, h))
	grads, err := autodiff.Gradients(g, total(g, y), nil, []*ir.Value{x, h})
	if err != nil {
		t.Fatal(err)
	}
	if grads[0].DType != ir.Float32 || grads[1].DType != ir.Float16 {
		t.Errorf("gradients are %v and %v", grads[0], grads[1])
	}
}

// TestOnlyWhatIsAskedFor: the images get no gradient, a value that has no
// influence gets zeros, and a value asked for twice gets the same gradient.
func TestOnlyWhatIsAskedFor(t *testing.T) {
	g := ir.New("g")
	x, w, unused := g.Input("x", ir.F32(2, 3, 8, 8)), g.Input("w", ir.F32(4, 3, 3, 3)), g.Input("unused", ir.F32(5))
	y := g.One("conv", ir.Conv{ConvAttr: ir.Window(1, 1)}, x, w)
	grads, err := autodiff.Gradients(g, total(g, y), nil, []*ir.Value{w, unused, w})
	if err != nil {
		t.Fatal(err)
	}
	if grads[0] != grads[2] || !grads[0].Shape.Equal(w.Shape) {
		t.Error("the weights' gradient is not one value of their shape")
	}
	if !grads[1].IsConst() || !grads[1].Shape.Equal(unused.Shape) {
		t.Error("an unused value's gradient is not a constant of its shape")
	}
	for _, n := range g.Nodes {
		if n.Op.Kind() == "ConvGradInput" {
			t.Error("a gradient for the images was computed")
		}
	}
}

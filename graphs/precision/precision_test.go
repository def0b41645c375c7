package precision_test

import (
	"testing"

	"github.com/ortrain/ortrain/graphs/autodiff"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/precision"
)

// typed makes a graph of values of either type: x float32 and h float16.
func typed() (g *ir.Graph, x, h *ir.Value) {
	g = ir.New("g")
	x = g.Input("x", ir.F32(2, 3, 4, 4))
	return g, x, g.One("h", ir.Conv{ConvAttr: ir.Window(1, 1)}, x, g.Input("w", ir.F32(3, 3, 3, 3)))
}

// TestClasses: what each class of operators makes of float16 and float32.
func TestClasses(t *testing.T) {
	relu, add := ir.Unary{F: ir.Relu}, ir.Binary{F: ir.Add}
	for _, c := range []struct {
		name string
		// build returns the value to look at.
		build func(g *ir.Graph, x, h *ir.Value) *ir.Value
		want  ir.DType
	}{
		{"a heavy one", func(g *ir.Graph, x, h *ir.Value) *ir.Value { return h }, ir.Float16},
		{"a follower of float16", func(g *ir.Graph, x, h *ir.Value) *ir.Value { return g.One("", relu, h) }, ir.Float16},
		{"a follower of float32", func(g *ir.Graph, x, h *ir.Value) *ir.Value { return g.One("", relu, x) }, ir.Float32},
		{"a follower of both", func(g *ir.Graph, x, h *ir.Value) *ir.Value { return g.One("", add, h, x) }, ir.Float32},
		{"float16 and a constant", func(g *ir.Graph, x, h *ir.Value) *ir.Value { return g.One("", add, h, g.Scalar(0.1)) }, ir.Float16},
		{"float32 and a constant", func(g *ir.Graph, x, h *ir.Value) *ir.Value { return g.One("", add, x, g.Scalar(0.1)) }, ir.Float32},
		{"float16 and a draw", func(g *ir.Graph, x, h *ir.Value) *ir.Value {
			return g.One("", ir.Binary{F: ir.Mul}, h, g.Input("draw", ir.F32(2, 1, 1, 1)))
		}, ir.Float16},
		{"what is made of draws", func(g *ir.Graph, x, h *ir.Value) *ir.Value {
			return g.One("", ir.Binary{F: ir.Add}, g.Input("draw", ir.F32(2)), g.Scalar(1))
		}, ir.Float32},
		{"float16 and what is made of draws", func(g *ir.Graph, x, h *ir.Value) *ir.Value {
			d := g.One("", ir.ReshapeTo(ir.Shape{2, 1, 1, 1}), g.Input("draw", ir.F32(2)))
			return g.One("", ir.Binary{F: ir.Mul}, h, d)
		}, ir.Float16},
		{"a sum", func(g *ir.Graph, x, h *ir.Value) *ir.Value { return g.One("", ir.Sum{Axes: 1}, h) }, ir.Float32},
		{"an exponential", func(g *ir.Graph, x, h *ir.Value) *ir.Value { return g.One("", ir.Unary{F: ir.Exp}, h) }, ir.Float32},
		{"a norm of float16", func(g *ir.Graph, x, h *ir.Value) *ir.Value {
			return g.Apply("", ir.BatchNormTrain{}, h, g.Input("scale", ir.F32(3)), g.Input("shift", ir.F32(3)))[0]
		}, ir.Float16},
		{"statistics of float16", func(g *ir.Graph, x, h *ir.Value) *ir.Value {
			return g.Apply("", ir.BatchNormTrain{}, h, g.Input("scale", ir.F32(3)), g.Input("shift", ir.F32(3)))[2]
		}, ir.Float32},
		{"a norm of float32", func(g *ir.Graph, x, h *ir.Value) *ir.Value {
			return g.Apply("", ir.BatchNormTrain{}, x, g.Input("scale", ir.F32(3)), g.Input("shift", ir.F32(3)))[0]
		}, ir.Float32},
		{"a follower of what is kept", func(g *ir.Graph, x, h *ir.Value) *ir.Value {
			kept := g.One("kept", relu, h)
			return g.One("", relu, kept)
		}, ir.Float32},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, x, h := typed()
			v := c.build(g, x, h)
			var free, keep []*ir.Value
			for _, in := range g.Inputs {
				if in != x {
					free = append(free, in)
				}
			}
			for _, n := range g.Nodes {
				if n.Name == "kept" {
					keep = n.Out
				}
			}
			kept, err := precision.Mixed(g, free, keep)
			if err != nil {
				t.Fatal(err)
			}
			if v.DType != c.want {
				t.Errorf("is %v, want %v", v.DType, c.want)
			}
			for _, k := range kept {
				if k.DType != ir.Float32 {
					t.Errorf("%s was to be kept in float32", k.Name)
				}
			}
		})
	}
}

// TestCasts: a weight that the forward and the backward pass read is cast once,
// and its gradient leaves the convolution in float32.
func TestCasts(t *testing.T) {
	g := ir.New("g")
	x, w := g.Input("x", ir.F32(2, 3, 4, 4)), g.Input("w", ir.F32(3, 3, 3, 3))
	conv := ir.Conv{ConvAttr: ir.Window(1, 1)}
	y := g.One("second", conv, g.One("first", conv, x, w), w)
	loss := g.One("loss", ir.Sum{Axes: ir.Axes(0, 1, 2, 3)}, y)
	grads, err := autodiff.Gradients(g, loss, nil, []*ir.Value{w})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := precision.Mixed(g, []*ir.Value{w}, grads)
	if err != nil {
		t.Fatal(err)
	}
	if kept[0] != grads[0] || kept[0].DType != ir.Float32 {
		t.Errorf("the gradient is %v", kept[0])
	}
	casts := map[*ir.Value]int{}
	for i, n := range g.Nodes {
		if n.ID != i {
			t.Errorf("node %s has number %d at place %d", n.Name, n.ID, i)
		}
		if n.Op.Kind() == "Cast" {
			casts[n.In[0]]++
		}
	}
	if casts[w] != 1 || casts[x] != 1 {
		t.Errorf("the weight is cast %d times, the images %d times", casts[w], casts[x])
	}
}

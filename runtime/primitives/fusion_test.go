package primitives

import (
	"fmt"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// pattern appends neighbouring operators that a lowering may emit together to
// g, around x, and marks the outputs.
type pattern struct {
	name  string
	build func(p *patternGraph, x *ir.Value)
}

type patternGraph struct {
	*ir.Graph
	r      source
	inputs map[string]reference.Tensor
}

// input adds a graph input and draws its numbers from N(mean, 1).
func (p *patternGraph) input(mean float64, shape ...int) *ir.Value {
	v := p.Input(fmt.Sprintf("in%d", len(p.inputs)), ir.F32(shape...))
	p.inputs[v.Name] = p.r.normal(mean, 1, shape...)
	return v
}

// norm appends a training norm and returns y, mean and variance.
func (p *patternGraph) norm(x *ir.Value) []*ir.Value {
	c := x.Shape[1]
	return p.Apply("norm", ir.BatchNormTrain{Eps: 1e-5}, x, p.input(1, c), p.input(0, c))
}

// normGrad appends the gradient of norm's y, for dy.
func (p *patternGraph) normGrad(dy *ir.Value, y *ir.Value) []*ir.Value {
	n := y.Node
	return p.Apply("normgrad", ir.BatchNormGrad{Eps: 1e-5}, dy, n.In[0], n.In[1], n.Out[1], n.Out[2])
}

// convGrad appends the input gradient of a k×k convolution that keeps the size,
// for x as dy.
func (p *patternGraph) convGrad(x *ir.Value, k int) *ir.Value {
	c := x.Shape[1]
	return p.One("dx", ir.ConvGradInput{ConvAttr: ir.Window(1, k/2), Input: [2]int{x.Shape[2], x.Shape[3]}}, x, p.input(0, c, c, k, k))
}

func (p *patternGraph) relu(x *ir.Value) *ir.Value { return p.One("relu", ir.Unary{F: ir.Relu}, x) }
func (p *patternGraph) add(x, y *ir.Value) *ir.Value {
	return p.One("add", ir.Binary{F: ir.Add}, x, y)
}

// out marks outputs, each behind an operator that cannot be taken over.
func (p *patternGraph) out(vs ...*ir.Value) {
	for _, v := range vs {
		p.Output(fmt.Sprintf("out%d", len(p.Outputs)), p.One("", ir.Unary{F: ir.Neg}, v))
	}
}

func patterns() []pattern {
	conv := ir.Conv{ConvAttr: ir.Window(1, 1)}
	return []pattern{
		{"norm", func(p *patternGraph, x *ir.Value) { p.out(p.norm(x)...) }},
		{"norm_relu", func(p *patternGraph, x *ir.Value) {
			n := p.norm(x)
			p.out(p.relu(n[0]), n[1], n[2])
		}},
		{"norm_add", func(p *patternGraph, x *ir.Value) {
			n := p.norm(x)
			p.out(p.add(n[0], p.input(0, x.Shape...)), n[1], n[2])
		}},
		{"norm_add_swapped_relu", func(p *patternGraph, x *ir.Value) {
			n := p.norm(x)
			p.out(p.relu(p.add(p.input(0, x.Shape...), n[0])), n[1])
		}},
		{"two_norms_add_relu", func(p *patternGraph, x *ir.Value) {
			n, m := p.norm(x), p.norm(p.input(2, x.Shape...))
			p.out(p.relu(p.add(n[0], m[0])), n[1], m[2])
		}},
		{"norm_added_to_itself", func(p *patternGraph, x *ir.Value) {
			y := p.norm(x)[0]
			p.out(p.add(y, y))
		}},
		{"norm_added_to_its_input", func(p *patternGraph, x *ir.Value) { p.out(p.relu(p.add(p.norm(x)[0], x))) }},
		{"norm_read_twice", func(p *patternGraph, x *ir.Value) {
			y := p.norm(x)[0]
			p.out(p.relu(y), y)
		}},
		{"sum_read_twice", func(p *patternGraph, x *ir.Value) {
			y := p.add(p.norm(x)[0], x)
			p.out(p.relu(y), y)
		}},
		{"norm_is_an_output", func(p *patternGraph, x *ir.Value) {
			y := p.norm(x)[0]
			p.Output("y", y)
			p.out(p.relu(y))
		}},
		{"norm_relu_is_an_output", func(p *patternGraph, x *ir.Value) { p.Output("y", p.relu(p.norm(x)[0])) }},
		{"norm_add_broadcast", func(p *patternGraph, x *ir.Value) {
			p.out(p.relu(p.add(p.norm(x)[0], p.input(0, x.Shape[1], 1, 1))))
		}},
		{"norm_broadcast_up", func(p *patternGraph, x *ir.Value) {
			// The sum is larger than the norm's output.
			p.out(p.relu(p.add(p.norm(p.input(0, 1, 3, 15, 15))[0], p.input(0, 4, 3, 15, 15))), x)
		}},
		{"statistics_read_between", func(p *patternGraph, x *ir.Value) {
			n := p.norm(x)
			// z depends on the statistics, so they are needed before the sum.
			z := p.One("", ir.Binary{F: ir.Mul}, x, p.One("", ir.ReshapeTo(ir.Shape{x.Shape[1], 1, 1}), n[1]))
			p.out(p.relu(p.add(n[0], z)), n[2])
		}},
		{"conv_norm_relu", func(p *patternGraph, x *ir.Value) {
			c := x.Shape[1]
			p.out(p.relu(p.norm(p.One("conv", conv, x, p.input(0, c, c, 3, 3)))[0]))
		}},
		{"relu_norm_relu", func(p *patternGraph, x *ir.Value) { p.out(p.relu(p.norm(p.relu(x))[0])) }},
		{"block_and_gradients", func(p *patternGraph, x *ir.Value) {
			c := x.Shape[1]
			w := p.input(0, c, c, 3, 3)
			u := p.One("conv", conv, x, w)
			y := p.norm(u)[0]
			z := p.relu(p.add(y, x))
			d := p.One("relugrad", ir.ReluGrad{}, p.input(0, x.Shape...), z)
			g := p.normGrad(d, y)
			dw := p.One("dw", ir.ConvGradWeight{ConvAttr: conv.ConvAttr, Kernel: [2]int{3, 3}}, g[0], x)
			dx := p.One("dx", ir.ConvGradInput{ConvAttr: conv.ConvAttr, Input: [2]int{x.Shape[2], x.Shape[3]}}, g[0], w)
			p.out(z, g[1], g[2], dw, p.add(dx, d))
		}},
		{"conv_gradient_added", func(p *patternGraph, x *ir.Value) {
			p.out(p.add(p.convGrad(x, 3), p.input(0, x.Shape...)), p.add(p.input(0, x.Shape...), p.convGrad(x, 1)))
		}},
		{"two_conv_gradients_added", func(p *patternGraph, x *ir.Value) {
			p.out(p.add(p.add(p.convGrad(x, 3), p.convGrad(x, 1)), x))
		}},
		{"conv_gradient_read_twice", func(p *patternGraph, x *ir.Value) {
			d := p.convGrad(x, 3)
			p.out(p.add(d, x), d, p.add(d, d))
		}},
		{"conv_gradient_added_then_normed", func(p *patternGraph, x *ir.Value) {
			p.out(p.relu(p.add(p.norm(p.add(p.convGrad(x, 3), x))[0], p.convGrad(x, 1))))
		}},
		{"conv_gradient_added_is_an_output", func(p *patternGraph, x *ir.Value) {
			p.Output("y", p.add(p.convGrad(x, 3), x))
			p.Output("z", p.convGrad(x, 3))
		}},
		{"conv_gradient_broadcast", func(p *patternGraph, x *ir.Value) {
			p.out(p.add(p.convGrad(x, 3), p.input(0, x.Shape[1], 1, 1)))
		}},
		{"relu_norm_gradients", func(p *patternGraph, x *ir.Value) {
			y := p.norm(x)[0]
			z := p.relu(y)
			d := p.One("relugrad", ir.ReluGrad{}, p.input(0, x.Shape...), z)
			p.out(append(p.normGrad(d, y), z)...)
		}},
		{"masked_gradient_read_twice", func(p *patternGraph, x *ir.Value) {
			y := p.norm(x)[0]
			z := p.relu(p.add(y, x))
			d := p.One("relugrad", ir.ReluGrad{}, p.input(0, x.Shape...), z)
			g := p.normGrad(d, y)
			p.out(p.add(d, g[0]), g[1], g[2])
		}},
	}
}

// TestFusions runs neighbouring operators, fused and apart, in either layout,
// on small and large maps, with one image and several.
func TestFusions(t *testing.T) {
	ortest.Open(t)
	for _, c := range patterns() {
		for _, s := range []ir.Shape{{1, 3, 7, 9}, {5, 16, 4, 4}, {1, 1, 16, 16}, {16, 32, 6, 8}, {5, 3, 16, 13}, {4, 2, 1, 1}, {2, 17, 15, 15}} {
			p := &patternGraph{ir.New(c.name), seeded(6), map[string]reference.Tensor{}}
			c.build(p, p.input(0.5, s...))
			want, err := reference.Run(p.Graph, p.inputs)
			if err != nil {
				t.Fatal(err)
			}
			for layout, o := range variants() {
				for _, o.NoFusion = range []bool{false, true} {
					name := fmt.Sprintf("%s/%v/%s", c.name, s, layout)
					if o.NoFusion {
						name += "/apart"
					}
					t.Run(name, func(t *testing.T) {
						session := load(t, p.Graph, o)
						if _, err := session.run(poisoned(p.inputs)); err != nil {
							t.Fatal(err)
						}
						got, err := session.run(p.inputs)
						if err != nil {
							t.Fatal(err)
						}
						for name, w := range want {
							if d := reference.Distance(got[name], w); d > 2*(solved{}).tolerance() {
								t.Errorf("%s is %.2g away from the reference", name, d)
							}
						}
					})
				}
			}
		}
	}
}

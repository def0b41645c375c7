package autodiff

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	fromInput := func(f ir.UnaryGradKind) Rule {
		return func(c *Context) []*ir.Value {
			return []*ir.Value{c.G.One(c.Name(0), ir.UnaryGrad{F: f}, c.Out[0], c.Node.In[0])}
		}
	}
	fromOutput := func(f ir.UnaryGradKind) Rule {
		return func(c *Context) []*ir.Value {
			return []*ir.Value{c.G.One(c.Name(0), ir.UnaryGrad{F: f}, c.Out[0], c.Node.Out[0])}
		}
	}
	Register("Erf", fromInput(ir.ErfGrad))
	Register("Sigmoid", fromOutput(ir.SigmoidGrad))
	Register("Tanh", fromOutput(ir.TanhGrad))
	Register("HardSwish", fromInput(ir.HardSwishGrad))
	Register("Gelu", fromInput(ir.GeluGrad))
	Register("GeluTanh", fromInput(ir.GeluTanhGrad))
	Register("Silu", func(c *Context) []*ir.Value {
		n := c.Node
		return []*ir.Value{c.G.One(c.Name(0), ir.UnaryGrad{F: ir.SiluGrad}, c.Out[0], n.In[0], n.Out[0])}
	})
	Register("HardSigmoid", func(c *Context) []*ir.Value {
		op := ir.HardSigmoidGrad{Alpha: c.Node.Op.(ir.HardSigmoid).Alpha}
		return []*ir.Value{c.G.One(c.Name(0), op, c.Out[0], c.Node.Out[0])}
	})
	Register("Clip", func(c *Context) []*ir.Value {
		return []*ir.Value{c.G.One(c.Name(0), ir.ClipGrad(c.Node.Op.(ir.Clip)), c.Out[0], c.Node.Out[0])}
	})
	Register("Shake", func(c *Context) []*ir.Value {
		if c.Need[1] || c.Need[2] {
			return c.Fail("the factors are asked for a gradient, which they have none of")
		}
		return []*ir.Value{c.G.One(c.Name(0), ir.Binary{F: ir.Mul}, c.Out[0], c.Node.In[2]), nil, nil}
	})
}

package autodiff

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	Register("SigmoidCrossEntropy", func(c *Context) []*ir.Value {
		if c.Need[1] {
			return c.Fail("the targets are asked for a gradient, which has none here")
		}
		in := c.Node.In
		return []*ir.Value{c.G.One(c.Name(0), ir.SigmoidCrossEntropyGrad{}, c.Out[0], in[0], in[1]), nil}
	})
}

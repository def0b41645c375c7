package autodiff

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	Register("SoftmaxFocal", func(c *Context) []*ir.Value {
		if c.Out[1] != nil {
			return c.Fail("the loss depends on the log-probabilities output, which has no gradient here")
		}
		if c.Need[1] {
			return c.Fail("the targets are asked for a gradient, which has none here")
		}
		n := c.Node
		return []*ir.Value{c.G.One(c.Name(0), ir.SoftmaxFocalGrad(n.Op.(ir.SoftmaxFocal)), c.Out[0], n.Out[1], n.In[1]), nil}
	})
	Register("SigmoidFocal", func(c *Context) []*ir.Value {
		if c.Need[1] {
			return c.Fail("the targets are asked for a gradient, which has none here")
		}
		n := c.Node
		return []*ir.Value{c.G.One(c.Name(0), ir.SigmoidFocalGrad(n.Op.(ir.SigmoidFocal)), c.Out[0], n.In[0], n.In[1]), nil}
	})
}

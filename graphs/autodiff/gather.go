package autodiff

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	Register("Gather", func(c *Context) []*ir.Value {
		op := c.Node.Op.(ir.Gather)
		return []*ir.Value{c.G.One(c.Name(0), ir.GatherGrad{Gather: op, Size: c.Node.In[0].Shape[op.Axis]}, c.Out[0])}
	})
}

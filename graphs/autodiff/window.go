package autodiff

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	Register("MaxPool", func(c *Context) []*ir.Value {
		op := ir.MaxPoolGrad{PoolAttr: c.Node.Op.(ir.MaxPool).PoolAttr}
		return []*ir.Value{c.G.One(c.Name(0), op, c.Out[0], c.Node.In[0], c.Node.Out[0])}
	})
	Register("AvgPool", func(c *Context) []*ir.Value {
		s := c.Node.In[0].Shape
		op := ir.AvgPoolGrad{AvgPool: c.Node.Op.(ir.AvgPool), Input: [2]int{s[2], s[3]}}
		return []*ir.Value{c.G.One(c.Name(0), op, c.Out[0])}
	})
}

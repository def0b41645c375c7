package autodiff

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	// Rounding counts as the identity: the adjoint takes the type of the input.
	Register("Cast", func(c *Context) []*ir.Value {
		return []*ir.Value{c.G.One(c.Name(0), ir.Cast{To: c.Node.In[0].DType}, c.Out[0])}
	})
}

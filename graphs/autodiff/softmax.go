package autodiff

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	// dz = y·(dy − Σ_k dy_k·y_k)
	Register("Softmax", func(c *Context) []*ir.Value {
		g, y, dy := c.G, c.Node.Out[0], c.Out[0]
		dot := g.One("", ir.Sum{Axes: ir.Axes(len(y.Shape) - 1), Keep: true}, g.One("", ir.Binary{F: ir.Mul}, dy, y))
		return []*ir.Value{g.One(c.Name(0), ir.Binary{F: ir.Mul}, y, g.One("", ir.Binary{F: ir.Sub}, dy, dot))}
	})
}

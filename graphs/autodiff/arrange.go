package autodiff

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	Register("Transpose", func(c *Context) []*ir.Value {
		op := c.Node.Op.(ir.Transpose).Inverse(len(c.Node.In[0].Shape))
		return []*ir.Value{c.G.One(c.Name(0), op, c.Out[0])}
	})
	Register("Expand", func(c *Context) []*ir.Value {
		return []*ir.Value{c.reduceTo(0, c.Out[0])}
	})
	Register("BatchMatMul", batchMatMul)
	Register("LayerNorm", layerNorm)
}

// batchMatMul is the rule of MatMul for each matrix; operands that were
// repeated get the sum. Of one matrix on the right, as a linear layer has, the
// gradient is a single product over all rows.
func batchMatMul(c *Context) []*ir.Value {
	op, dy := c.Node.Op.(ir.BatchMatMul), c.Out[0]
	a, b := c.Node.In[0], c.Node.In[1]
	d := make([]*ir.Value, 2)
	if c.Need[0] {
		if op.TransA {
			d[0] = c.G.One(c.Name(0), ir.BatchMatMul{TransA: op.TransB, TransB: true}, b, dy)
		} else {
			d[0] = c.G.One(c.Name(0), ir.BatchMatMul{TransB: !op.TransB}, dy, b)
		}
		d[0] = c.reduceTo(0, d[0])
	}
	if !c.Need[1] {
		return d
	}
	if len(b.Shape) == 2 && !op.TransA {
		rows := func(v *ir.Value) *ir.Value {
			if len(v.Shape) == 2 {
				return v
			}
			k := v.Shape[len(v.Shape)-1]
			return c.G.One("", ir.ReshapeTo(ir.Shape{v.Shape.Size() / k, k}), v)
		}
		if op.TransB {
			d[1] = c.G.One(c.Name(1), ir.MatMul{TransA: true}, rows(dy), rows(a))
		} else {
			d[1] = c.G.One(c.Name(1), ir.MatMul{TransA: true}, rows(a), rows(dy))
		}
		return d
	}
	if op.TransB {
		d[1] = c.G.One(c.Name(1), ir.BatchMatMul{TransA: true, TransB: op.TransA}, dy, a)
	} else {
		d[1] = c.G.One(c.Name(1), ir.BatchMatMul{TransA: !op.TransA}, a, dy)
	}
	d[1] = c.reduceTo(1, d[1])
	return d
}

// layerNorm: with x̂ = (x−mean)·r and g = dy·γ,
// dx = r·(g − mean(g) − x̂·mean(g·x̂)), dγ = Σ dy·x̂, dβ = Σ dy.
func layerNorm(c *Context) []*ir.Value {
	if c.Out[1] != nil || c.Out[2] != nil {
		return c.Fail("the loss depends on the statistics themselves, which has no gradient here")
	}
	g, n, dy := c.G, c.Node, c.Out[0]
	x, scale, mean, r := n.In[0], n.In[1], n.Out[1], n.Out[2]
	do := func(f ir.BinaryKind, a, b *ir.Value) *ir.Value { return g.One("", ir.Binary{F: f}, a, b) }
	xhat := do(ir.Mul, do(ir.Sub, x, mean), r)
	d := make([]*ir.Value, 3)
	if c.Need[0] {
		last := len(x.Shape) - 1
		average := func(v *ir.Value) *ir.Value {
			sum := g.One("", ir.Sum{Axes: ir.Axes(last), Keep: true}, v)
			return do(ir.Mul, sum, g.Scalar(1/float32(x.Shape[last])))
		}
		scaled := do(ir.Mul, dy, scale)
		inner := do(ir.Sub, do(ir.Sub, scaled, average(scaled)), do(ir.Mul, xhat, average(do(ir.Mul, scaled, xhat))))
		d[0] = g.One(c.Name(0), ir.Binary{F: ir.Mul}, inner, r)
	}
	if c.Need[1] {
		d[1] = c.reduceTo(1, do(ir.Mul, dy, xhat))
	}
	d[2] = c.reduceTo(2, dy)
	return d
}

package autodiff

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	Register("Add", func(c *Context) []*ir.Value {
		return []*ir.Value{c.reduceTo(0, c.Out[0]), c.reduceTo(1, c.Out[0])}
	})
	Register("Sub", func(c *Context) []*ir.Value {
		d := []*ir.Value{c.reduceTo(0, c.Out[0]), nil}
		if c.Need[1] {
			d[1] = c.reduceTo(1, c.G.One("", ir.Unary{F: ir.Neg}, c.Out[0]))
		}
		return d
	})
	Register("Mul", func(c *Context) []*ir.Value {
		d := make([]*ir.Value, 2)
		for i := range d {
			if c.Need[i] {
				d[i] = c.reduceTo(i, c.G.One("", ir.Binary{F: ir.Mul}, c.Out[0], c.Node.In[1-i]))
			}
		}
		return d
	})
	Register("Div", func(c *Context) []*ir.Value {
		g, b := c.G, c.Node.In[1]
		q := g.One("", ir.Binary{F: ir.Div}, c.Out[0], b)
		d := []*ir.Value{c.reduceTo(0, q), nil}
		if c.Need[1] {
			// ∂(a/b)/∂b = −(a/b)/b
			t := g.One("", ir.Binary{F: ir.Mul}, q, c.Node.Out[0])
			d[1] = c.reduceTo(1, g.One("", ir.Unary{F: ir.Neg}, t))
		}
		return d
	})
	Register("Neg", func(c *Context) []*ir.Value {
		return []*ir.Value{c.G.One(c.Name(0), ir.Unary{F: ir.Neg}, c.Out[0])}
	})
	Register("Exp", func(c *Context) []*ir.Value {
		return []*ir.Value{c.G.One(c.Name(0), ir.Binary{F: ir.Mul}, c.Out[0], c.Node.Out[0])}
	})
	Register("Log", func(c *Context) []*ir.Value {
		return []*ir.Value{c.G.One(c.Name(0), ir.Binary{F: ir.Div}, c.Out[0], c.Node.In[0])}
	})
	Register("Sqrt", func(c *Context) []*ir.Value {
		half := c.G.One("", ir.Binary{F: ir.Mul}, c.Out[0], c.G.Scalar(0.5))
		return []*ir.Value{c.G.One(c.Name(0), ir.Binary{F: ir.Div}, half, c.Node.Out[0])}
	})
	Register("Abs", func(c *Context) []*ir.Value {
		sign := c.G.One("", ir.Unary{F: ir.Sign}, c.Node.In[0])
		return []*ir.Value{c.G.One(c.Name(0), ir.Binary{F: ir.Mul}, c.Out[0], sign)}
	})
	Register("Sum", sum)
	Register("SumSquares", func(c *Context) []*ir.Value {
		twice := c.G.One("", ir.Binary{F: ir.Mul}, c.Out[0], c.G.Scalar(2))
		return []*ir.Value{c.G.One(c.Name(0), ir.Binary{F: ir.Mul}, c.Node.In[0], twice)}
	})
	Register("Reshape", func(c *Context) []*ir.Value {
		return []*ir.Value{c.G.One(c.Name(0), ir.ReshapeTo(c.Node.In[0].Shape), c.Out[0])}
	})
	Register("Slice", func(c *Context) []*ir.Value {
		op := ir.SliceGrad{Slice: c.Node.Op.(ir.Slice)}
		copy(op.Input[:], c.Node.In[0].Shape)
		return []*ir.Value{c.G.One(c.Name(0), op, c.Out[0])}
	})
	Register("Pad", func(c *Context) []*ir.Value {
		op := c.Node.Op.(ir.Pad)
		s := ir.Slice{Start: op.Before, Step: [ir.MaxRank]int{1, 1, 1, 1}}
		copy(s.Size[:], c.Node.In[0].Shape)
		return []*ir.Value{c.G.One(c.Name(0), s, c.Out[0])}
	})
	Register("Concat", func(c *Context) []*ir.Value {
		axis, start := c.Node.Op.(ir.Concat).Axis, 0
		d := make([]*ir.Value, len(c.Node.In))
		for i, v := range c.Node.In {
			if c.Need[i] {
				d[i] = c.G.One(c.Name(i), ir.Range(c.Out[0].Shape, axis, start, v.Shape[axis]), c.Out[0])
			}
			start += v.Shape[axis]
		}
		return d
	})
}

// reduceTo undoes broadcasting: it sums d down to the shape of input i.
func (c *Context) reduceTo(i int, d *ir.Value) *ir.Value {
	if !c.Need[i] {
		return nil
	}
	want := c.Node.In[i].Shape
	if d.Shape.Equal(want) {
		return d
	}
	lead := len(d.Shape) - len(want)
	var axes uint
	for j, n := range d.Shape {
		if j < lead || want[j-lead] != n {
			axes |= 1 << j
		}
	}
	if axes != 0 {
		d = c.G.One(c.Name(i)+".sum", ir.Sum{Axes: axes, Keep: true}, d)
	}
	if !d.Shape.Equal(want) {
		d = c.G.One(c.Name(i)+".shape", ir.ReshapeTo(want), d)
	}
	return d
}

// sum spreads the adjoint over the summed axes.
func sum(c *Context) []*ir.Value {
	op, x, dy := c.Node.Op.(ir.Sum), c.Node.In[0], c.Out[0]
	kept := make(ir.Shape, len(x.Shape))
	for i, n := range x.Shape {
		if kept[i] = n; op.Axes>>i&1 == 1 {
			kept[i] = 1
		}
	}
	if !dy.Shape.Equal(kept) {
		dy = c.G.One("", ir.ReshapeTo(kept), dy)
	}
	return []*ir.Value{c.G.One(c.Name(0), ir.ExpandTo(x.Shape), dy)}
}

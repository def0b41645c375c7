package autodiff

import "github.com/ortrain/ortrain/graphs/ir"

func init() {
	Register("Conv", conv)
	Register("BatchNormTrain", batchNormTrain)
	Register("BatchNormInfer", batchNormInfer)
	Register("Relu", relu)
	Register("MatMul", matMul)
	Register("SoftmaxCrossEntropy", softmaxCrossEntropy)
	Register("GlobalAvgPool", globalAvgPool)
}

func conv(c *Context) []*ir.Value {
	op, dy := c.Node.Op.(ir.Conv), c.Out[0]
	x, w := c.Node.In[0], c.Node.In[1]
	d := make([]*ir.Value, len(c.Node.In))
	if c.Need[1] {
		d[1] = c.G.One(c.Name(1), ir.ConvGradWeight{
			ConvAttr: op.ConvAttr, Kernel: [2]int{w.Shape[2], w.Shape[3]}}, dy, x)
	}
	if c.Need[0] {
		d[0] = c.G.One(c.Name(0), ir.ConvGradInput{
			ConvAttr: op.ConvAttr, Input: [2]int{x.Shape[2], x.Shape[3]}}, dy, w)
	}
	if len(d) == 3 && c.Need[2] {
		d[2] = c.G.One(c.Name(2), ir.Sum{Axes: ir.Axes(0, 2, 3)}, dy)
	}
	return d
}

func batchNormTrain(c *Context) []*ir.Value {
	if c.Out[1] != nil || c.Out[2] != nil {
		return c.Fail("the loss depends on the batch statistics themselves, which has no gradient here")
	}
	n := c.Node
	op := n.Op.(ir.BatchNormTrain)
	return c.G.Apply(c.Name(0), ir.BatchNormGrad(op), c.Out[0], n.In[0], n.In[1], n.Out[1], n.Out[2])
}

// batchNormInfer differentiates the affine map that a norm with fixed
// statistics is: the case of frozen or folded norms.
func batchNormInfer(c *Context) []*ir.Value {
	g, n, dy := c.G, c.Node, c.Out[0]
	if c.Need[3] || c.Need[4] {
		return c.Fail("the given statistics are asked for a gradient, which has none here")
	}
	eps := g.Scalar(n.Op.(ir.BatchNormInfer).Eps)
	x, scale, mean, variance := n.In[0], n.In[1], n.In[3], n.In[4]
	channels := ir.ReshapeTo(ir.Shape{1, x.Shape[1], 1, 1})
	std := g.One("", ir.Unary{F: ir.Sqrt}, g.One("", ir.Binary{F: ir.Add}, variance, eps))
	d := make([]*ir.Value, 5)
	if c.Need[0] {
		a := g.One("", channels, g.One("", ir.Binary{F: ir.Div}, scale, std))
		d[0] = g.One(c.Name(0), ir.Binary{F: ir.Mul}, dy, a)
	}
	overChannel := ir.Sum{Axes: ir.Axes(0, 2, 3)}
	if c.Need[1] {
		centred := g.One("", ir.Binary{F: ir.Sub}, x, g.One("", channels, mean))
		dot := g.One("", overChannel, g.One("", ir.Binary{F: ir.Mul}, dy, centred))
		d[1] = g.One(c.Name(1), ir.Binary{F: ir.Div}, dot, std)
	}
	if c.Need[2] {
		d[2] = g.One(c.Name(2), overChannel, dy)
	}
	return d
}

func relu(c *Context) []*ir.Value {
	return []*ir.Value{c.G.One(c.Name(0), ir.ReluGrad{}, c.Out[0], c.Node.Out[0])}
}

func matMul(c *Context) []*ir.Value {
	op, dy := c.Node.Op.(ir.MatMul), c.Out[0]
	a, b := c.Node.In[0], c.Node.In[1]
	d := make([]*ir.Value, 2)
	if c.Need[0] {
		if op.TransA {
			d[0] = c.G.One(c.Name(0), ir.MatMul{TransA: op.TransB, TransB: true}, b, dy)
		} else {
			d[0] = c.G.One(c.Name(0), ir.MatMul{TransB: !op.TransB}, dy, b)
		}
	}
	if c.Need[1] {
		if op.TransB {
			d[1] = c.G.One(c.Name(1), ir.MatMul{TransA: true, TransB: op.TransA}, dy, a)
		} else {
			d[1] = c.G.One(c.Name(1), ir.MatMul{TransA: !op.TransA}, a, dy)
		}
	}
	return d
}

func softmaxCrossEntropy(c *Context) []*ir.Value {
	if c.Out[1] != nil {
		return c.Fail("the loss depends on the log-probabilities output, which has no gradient here")
	}
	if c.Need[1] {
		return c.Fail("the targets are asked for a gradient, which has none here")
	}
	n := c.Node
	return []*ir.Value{c.G.One(c.Name(0), ir.SoftmaxCrossEntropyGrad{}, c.Out[0], n.Out[1], n.In[1]), nil}
}

func globalAvgPool(c *Context) []*ir.Value {
	s := c.Node.In[0].Shape
	return []*ir.Value{c.G.One(c.Name(0), ir.GlobalAvgPoolGrad{Input: [2]int{s[2], s[3]}}, c.Out[0])}
}

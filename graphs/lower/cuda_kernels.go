package lower

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// # The kernel library for CUDA
//
// It adds to the CUDA provider (runtime/kernels/cuda) what ONNX has no operator
// for, or takes several passes for: convolution and its two gradients by cuDNN on
// maps with channels last, batch normalisation with its neighbours in as few
// passes as can be, pooling and its gradients, the conversion of layouts, the
// update of the parameters in one pass (flat.go). Maps are float32 or float16.
//
// A norm takes over what surrounds it:
//
//	BatchNormTrain → Add → Relu             in the pass that applies it
//	Add → ReluGrad → BatchNormGrad          in both passes of the gradient, which
//	                                        also writes ReluGrad's result if others
//	                                        read it

func init() {
	kernel := func(kind string, emit func(*Emitter, *ir.Node) bool) {
		registerKernel(kind, form{name: "kernel", rank: worse(-3), half: true, emit: func(e *Emitter, n *ir.Node) bool {
			return e.channelsLast() && emit(e, n)
		}})
	}
	kernel("Conv", func(e *Emitter, n *ir.Node) bool {
		op, x, w, y := n.Op.(ir.Conv), n.In[0], n.In[1], n.Out[0]
		if !e.lastable(x) || !cudnnPads(op.ConvAttr, x.Shape, w.Shape, y.Shape) {
			return false
		}
		attrs := e.convShapes(op.ConvAttr, x.Shape, w.Shape, y.Shape)
		in := []string{e.blk(x), e.blk(w)}
		if len(n.In) == 2 {
			e.kernel("ConvForward", in, []string{e.outBlk(y)}, attrs...)
			return true
		}
		d := e.tmp("conv")
		e.kernel("ConvForward", in, []string{d}, attrs...)
		d = e.do("Add", []string{e.reshape(d, toView(y.Shape)...), e.in(n.In[2])})
		e.emit("Reshape", []string{d, e.ints(y.Shape...)}, []string{e.outBlk(y)})
		return true
	})
	kernel("ConvGradInput", func(e *Emitter, n *ir.Node) bool {
		op, dy, w, dx := n.Op.(ir.ConvGradInput), n.In[0], n.In[1], n.Out[0]
		if !e.lastable(dy) || !cudnnPads(op.ConvAttr, dx.Shape, w.Shape, dy.Shape) {
			return false
		}
		e.kernel("ConvGradInput", []string{e.blk(dy), e.blk(w)}, []string{e.outBlk(dx)},
			e.convShapes(op.ConvAttr, dx.Shape, w.Shape, dy.Shape)...)
		return true
	})
	kernel("ConvGradWeight", func(e *Emitter, n *ir.Node) bool {
		op, dy, x, dw := n.Op.(ir.ConvGradWeight), n.In[0], n.In[1], n.Out[0]
		if !e.lastable(dy) || !cudnnPads(op.ConvAttr, x.Shape, dw.Shape, dy.Shape) {
			return false
		}
		e.kernel("ConvGradWeight", []string{e.blk(dy), e.blk(x)}, []string{e.out(dw)},
			e.convShapes(op.ConvAttr, x.Shape, dw.Shape, dy.Shape)...)
		return true
	})
	kernel("BatchNormTrain", func(e *Emitter, n *ir.Node) bool {
		if !e.lastable(n.In[0]) {
			return false
		}
		e.apply(n, e.kernelTerms(n), nil, false, n.Out[0])
		return true
	})
	kernel("BatchNormGrad", func(e *Emitter, n *ir.Node) bool {
		if !e.lastable(n.In[1]) {
			return false
		}
		e.normGradKernel(normChain{norm: n, dy: n.In[0]})
		return true
	})
	kernel("MaxPool", func(e *Emitter, n *ir.Node) bool {
		return e.poolKernel("MaxPool", n, n.Op.(ir.MaxPool).PoolAttr, false, n.In[0].Shape, n.Out[0].Shape)
	})
	kernel("MaxPoolGrad", func(e *Emitter, n *ir.Node) bool {
		return e.poolKernel("MaxPoolGrad", n, n.Op.(ir.MaxPoolGrad).PoolAttr, false, n.Out[0].Shape, n.In[0].Shape)
	})
	kernel("AvgPool", func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.AvgPool)
		return e.poolKernel("AvgPool", n, op.PoolAttr, op.CountPad, n.In[0].Shape, n.Out[0].Shape)
	})
	kernel("AvgPoolGrad", func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.AvgPoolGrad)
		return e.poolKernel("AvgPoolGrad", n, op.PoolAttr, op.CountPad, n.Out[0].Shape, n.In[0].Shape)
	})
}

// cudnnPads reports whether cuDNN, which pads both sides of an axis alike, makes
// the same of a convolution from x with weights w to y: what it pads after the map
// then matters for the size of the result alone.
func cudnnPads(a ir.ConvAttr, x, w, y ir.Shape) bool {
	for i := range 2 {
		extent := (w[2+i]-1)*a.Dilation[i] + 1
		if span := x[2+i] + 2*a.Pad[i] - extent; span < 0 || span/a.Stride[i]+1 != y[2+i] {
			return false
		}
	}
	return true
}

// poolKernel emits a pooling from maps x to maps y, or its gradient.
func (e *Emitter) poolKernel(op string, n *ir.Node, a ir.PoolAttr, countPad bool, x, y ir.Shape) bool {
	var in []string
	for _, v := range n.In {
		if !e.lastable(v) {
			return false
		}
		in = append(in, e.blk(v))
	}
	e.kernel(op, in, []string{e.outBlk(n.Out[0])}, onnx.AttrInts("shape", dims(x)...), onnx.AttrInts("result", int64(y[2]), int64(y[3])),
		attrPair("kernel_shape", a.Kernel), attrPair("strides", a.Stride), onnx.AttrInts("pads", int64(a.Pad[0]), int64(a.Pad[1])),
		onnx.AttrInt("count_pad", flag(countPad)))
	return true
}

// fuseLast finds the fusions of the essay above.
func (e *Emitter) fuseLast(n *ir.Node) {
	switch n.Op.(type) {
	case ir.BatchNormTrain:
		if e.lastable(n.In[0]) && e.prefersKernel(n) {
			e.fuseNorm(n)
		}
	case ir.BatchNormGrad:
		if e.lastable(n.In[1]) && e.prefersKernel(n) {
			e.fuseNormGrad(n)
		}
	}
}

// normChain is the gradient of a norm and what is done on the way to it.
type normChain struct {
	norm *ir.Node
	dy   *ir.Value
	sum  *ir.Value // added to dy; may be nil
	y    *ir.Value // the rectifier's output that masks the sum; may be nil
	g    *ir.Value // what reaches the norm, where others read it too; else nil
}

// fuseNormGrad takes over Add → ReluGrad → BatchNormGrad, either of the first two
// being optional, in place of the last of those two: its result may be read before
// the norm's turn. What the norm needs besides is of the forward pass.
func (e *Emitter) fuseNormGrad(norm *ir.Node) {
	c := normChain{norm: norm, dy: norm.In[0]}
	free := func(n *ir.Node) bool { return n != nil && !e.skip[n] && e.fused[n] == nil }
	last := c.dy.Node
	if !free(last) || c.dy == norm.In[1] || e.opts.Forms[last.Op.Kind()] != "" {
		return
	}
	if _, ok := last.Op.(ir.ReluGrad); ok && last.In[0] != last.In[1] {
		c.y, c.dy = last.In[1], last.In[0]
	}
	add := c.dy.Node
	isAdd := free(add) && add.Op == ir.Op(ir.Binary{F: ir.Add}) && e.opts.Forms[add.Op.Kind()] == "" && add.In[0] != add.In[1] &&
		add.In[0].Shape.Equal(add.In[1].Shape) && (add == last || e.onlyUse(c.dy))
	if isAdd {
		c.dy, c.sum = add.In[0], add.In[1]
	}
	if c.y == nil && c.sum == nil {
		return
	}
	for _, v := range norm.In[1:] {
		if v.Node != nil && v.Node.ID > last.ID {
			return
		}
	}
	if out := last.Out[0]; !e.onlyUse(out) {
		c.g = out
	}
	e.skip[norm] = true
	if isAdd && add != last {
		e.skip[add] = true
	}
	e.fused[last] = func() {
		e.current = norm
		e.normGradKernel(c)
	}
}

func (e *Emitter) normGradKernel(c normChain) {
	n := c.norm
	in := []string{e.blk(c.dy), e.blk(n.In[1]), e.in(n.In[2]), e.in(n.In[3]), e.in(n.In[4]), "", ""}
	if c.sum != nil {
		in[5] = e.blk(c.sum)
	}
	if c.y != nil {
		in[6] = e.blk(c.y)
	}
	for in[len(in)-1] == "" {
		in = slices.Delete(in, len(in)-1, len(in))
	}
	out := []string{e.outBlk(n.Out[0]), e.out(n.Out[1]), e.out(n.Out[2])}
	if c.g != nil {
		out = append(out, e.outBlk(c.g))
	}
	e.kernel("NormGrad", in, out, append(e.mapShape(n.In[1]), onnx.AttrFloat("eps", n.Op.(ir.BatchNormGrad).Eps))...)
}

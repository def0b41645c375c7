package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// # The kernel library
//
// With Options.Kernels the lowering may use the operators of domain ai.ortrain,
// which a shared library adds to ONNX Runtime (runtime/kernels); for CUDA's see
// cuda_kernels.go. Those of the CPU are convolution and its gradients on oneDNN,
// batch normalisation with its neighbours, the gradient of max-pooling, the
// update. They work on the channel blocks of the blocked layout, so a graph may
// mix them freely with the runtime's own.
//
// What follows a convolution is done by the convolution itself, while its
// result is in the cache:
//
//	Conv → Add                              the residual sum
//	Conv → BatchNormTrain                   mean and variance of its result
//	ConvGradInput → Add → ReluGrad → BatchNormGrad
//	                                        the sum of gradients, the mask, and
//	                                        the sums that the norm's gradient needs

// KernelDomain is the operator domain of the kernel library, KernelVersion the
// version of the contract between the lowering and the library.
const (
	KernelDomain  = "ai.ortrain"
	KernelVersion = 1
	// CUDAKernelVersion is that of CUDA's library (cuda_kernels.go).
	CUDAKernelVersion = 1
)

// KernelVersionFor returns the version of the contract with a provider's kernel
// library.
func KernelVersionFor(provider string) int {
	if provider == CUDA {
		return CUDAKernelVersion
	}
	return KernelVersion
}

func init() {
	register("Conv", form{name: "kernel", rank: worse(-3), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.kernelConv(n) {
			return false
		}
		e.convKernel(n, nil, n.Out[0])
		return true
	}})
	register("ConvGradInput", form{name: "kernel", rank: worse(-3), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.kernelConv(n) || !e.blockable(n.Out[0]) {
			return false
		}
		e.convGradKernel(gradChain{conv: n, out: n.Out[0]})
		return true
	}})
	register("ConvGradWeight", form{name: "kernel", rank: worse(-3), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.kernelConv(n) {
			return false
		}
		op := n.Op.(ir.ConvGradWeight)
		e.kernel("ConvGradWeight", []string{e.blk(n.In[0]), e.convInput(n.In[1])}, []string{e.out(n.Out[0])},
			e.convShapes(op.ConvAttr, n.In[1].Shape, n.Out[0].Shape, n.In[0].Shape)...)
		return true
	}})
	register("BatchNormTrain", form{name: "kernel", rank: worse(-3), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.kernelMap(n.In[0]) {
			return false
		}
		e.apply(n, e.kernelTerms(n), nil, false, n.Out[0])
		return true
	}})
	register("BatchNormGrad", form{name: "kernel", rank: worse(-3), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.kernelMap(n.In[1]) {
			return false
		}
		in := []string{e.blk(n.In[0]), e.blk(n.In[1]), e.in(n.In[2]), e.in(n.In[3]), e.in(n.In[4])}
		if sums, ok := e.sums[n]; ok {
			in = append(in, "", "", sums[0], sums[1])
		}
		e.kernel("NormGrad", in, []string{e.outBlk(n.Out[0]), e.out(n.Out[1]), e.out(n.Out[2])},
			append(e.mapShape(n.In[1]), onnx.AttrFloat("eps", n.Op.(ir.BatchNormGrad).Eps))...)
		return true
	}})
	register("MaxPoolGrad", form{name: "kernel", rank: worse(-3), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.kernelMap(n.In[1]) {
			return false
		}
		op := n.Op.(ir.MaxPoolGrad)
		out := n.In[0].Shape
		attrs := append(e.mapShape(n.In[1]), onnx.AttrInts("result", int64(out[2]), int64(out[3])),
			attrPair("kernel_shape", op.Kernel), attrPair("strides", op.Stride), onnx.AttrInts("pads", int64(op.Pad[0]), int64(op.Pad[1])))
		e.kernel("MaxPoolGrad", []string{e.blk(n.In[0]), e.blk(n.In[1])}, []string{e.outBlk(n.Out[0])}, attrs...)
		return true
	}})
}

// kernel emits an operator of the library.
func (e *Emitter) kernel(op string, in, out []string, attrs ...*onnx.AttributeProto) {
	if !e.channelsLast() {
		attrs = append(attrs, onnx.AttrInt("block", int64(e.opts.Block)), onnx.AttrInt("threads", int64(max(e.opts.Threads, 1))))
	}
	e.emit(KernelDomain+":"+op, in, out, attrs...)
}

// kernelMap reports whether the library may be used and v has the layout it
// works on.
func (e *Emitter) kernelMap(v *ir.Value) bool { return e.opts.Kernels && e.blockable(v) }

// kernelConv reports whether the library serves a convolution or one of its
// gradients: maps in blocks, an input of fewer channels than a block, in plain
// layout; one group, or a group a channel.
func (e *Emitter) kernelConv(n *ir.Node) bool {
	var a ir.ConvAttr
	x, y, w := n.In[0].Shape, n.Out[0], n.In[1].Shape
	switch op := n.Op.(type) {
	case ir.Conv:
		if a = op.ConvAttr; len(n.In) > 2 {
			return false // a bias
		}
	case ir.ConvGradInput:
		a, x, y = op.ConvAttr, n.Out[0].Shape, n.In[0]
	case ir.ConvGradWeight:
		a, x, y, w = op.ConvAttr, n.In[1].Shape, n.In[0], n.Out[0].Shape
	}
	if !e.kernelMap(y) || x[1]%e.opts.Block != 0 && x[1] >= e.opts.Block {
		return false
	}
	return a.Groups == 1 || a.Groups == x[1] && a.Groups == w[0] && x[1]%e.opts.Block == 0
}

// prefersKernel reports whether nothing faster was measured for a node.
func (e *Emitter) prefersKernel(n *ir.Node) bool {
	c := e.choice(n)
	return c == "" || c == "kernel"
}

// convInput returns a convolution's input in the layout that the library takes.
func (e *Emitter) convInput(x *ir.Value) string {
	if e.blockable(x) {
		return e.blk(x)
	}
	return e.in(x)
}

// convShapes describes a convolution from x with weights w to y.
func (e *Emitter) convShapes(a ir.ConvAttr, x, w, y ir.Shape) []*onnx.AttributeProto {
	return []*onnx.AttributeProto{
		onnx.AttrInts("shape", dims(x)...), onnx.AttrInts("weights", dims(w)...), onnx.AttrInts("result", int64(y[2]), int64(y[3])),
		attrPair("strides", a.Stride), attrPair("dilations", a.Dilation), attrPads(a.Pad), onnx.AttrInt("group", int64(a.Groups)),
	}
}

func (e *Emitter) mapShape(v *ir.Value) []*onnx.AttributeProto {
	return []*onnx.AttributeProto{onnx.AttrInts("shape", dims(v.Shape)...)}
}

// convKernel emits out = conv + sum (nil for none), with the statistics for a
// norm that reads it.
func (e *Emitter) convKernel(n *ir.Node, sum, out *ir.Value) {
	in := []string{e.convInput(n.In[0]), e.in(n.In[1])}
	if sum != nil {
		in = append(in, e.blk(sum))
	}
	outs := []string{e.outBlk(out)}
	norm := e.reader(out, "BatchNormTrain", 0)
	if norm != nil {
		outs = append(outs, e.out(norm.Out[1]), e.out(norm.Out[2]))
	}
	attrs := e.convShapes(n.Op.(ir.Conv).ConvAttr, n.In[0].Shape, n.In[1].Shape, n.Out[0].Shape)
	e.kernel("ConvForward", in, outs, append(attrs, onnx.AttrInt("statistics", flag(norm != nil)))...)
}

// kernelTerms makes sure of a norm's statistics.
func (e *Emitter) kernelTerms(n *ir.Node) terms {
	if e.plain[n.Out[1]] == "" {
		e.kernel("Statistics", []string{e.blk(n.In[0])}, []string{e.out(n.Out[1]), e.out(n.Out[2])}, e.mapShape(n.In[0])...)
	}
	return terms{kernel: true}
}

// applyKernel emits out = act(norm(x) + z).
func (e *Emitter) applyKernel(n *ir.Node, z *ir.Value, relu bool, out *ir.Value) {
	in := []string{e.blk(n.In[0]), e.in(n.Out[1]), e.in(n.Out[2]), e.in(n.In[1]), e.in(n.In[2])}
	if z != nil {
		in = append(in, e.blk(z))
	}
	e.kernel("Norm", in, []string{e.outBlk(out)}, append(e.mapShape(n.In[0]),
		onnx.AttrFloat("eps", n.Op.(ir.BatchNormTrain).Eps), onnx.AttrInt("relu", flag(relu)))...)
}

// fuseConvSum adds a residual sum within the convolution.
func (e *Emitter) fuseConvSum(conv *ir.Node) {
	if !e.kernelConv(conv) || !e.prefersKernel(conv) {
		return
	}
	add := e.soleReader(conv.Out[0], ir.Binary{F: ir.Add})
	if add == nil {
		return
	}
	other := otherInput(add, conv.Out[0])
	if !other.Shape.Equal(conv.Out[0].Shape) || other == conv.Out[0] {
		return
	}
	e.skip[conv] = true
	e.fused[add] = func() {
		e.current = conv
		e.convKernel(conv, other, add.Out[0])
	}
}

// gradChain is an input gradient and what is done to it on its way to out.
type gradChain struct {
	conv *ir.Node
	sum  *ir.Value // added; may be nil
	y    *ir.Value // the rectifier's output that masks it; may be nil
	out  *ir.Value
}

// fuseGradChain takes over ConvGradInput → Add → ReluGrad, either of the last
// two being optional.
func (e *Emitter) fuseGradChain(grad *ir.Node) {
	if !e.kernelConv(grad) || !e.blockable(grad.Out[0]) || !e.prefersKernel(grad) {
		return
	}
	c := gradChain{conv: grad, out: grad.Out[0]}
	chain := []*ir.Node{grad}
	if add := e.soleReader(c.out, ir.Binary{F: ir.Add}); add != nil {
		if other := otherInput(add, c.out); other.Shape.Equal(c.out.Shape) && other != c.out {
			c.sum, c.out = other, add.Out[0]
			chain = append(chain, add)
		}
	}
	if relu := e.soleReader(c.out, ir.ReluGrad{}); relu != nil && relu.In[0] == c.out && relu.In[1] != c.out {
		c.y, c.out = relu.In[1], relu.Out[0]
		chain = append(chain, relu)
	}
	last := len(chain) - 1
	if last == 0 {
		return
	}
	for _, n := range chain[:last] {
		e.skip[n] = true
	}
	e.fused[chain[last]] = func() {
		e.current = grad
		e.convGradKernel(c)
	}
}

func (e *Emitter) convGradKernel(c gradChain) {
	n, op := c.conv, c.conv.Op.(ir.ConvGradInput)
	in := []string{e.blk(n.In[0]), e.in(n.In[1]), "", "", "", ""}
	if c.sum != nil {
		in[2] = e.blk(c.sum)
	}
	if c.y != nil {
		in[3] = e.blk(c.y)
	}
	outs := []string{e.outBlk(c.out)}
	norm := e.reader(c.out, "BatchNormGrad", 0)
	if norm != nil && norm.In[1] != c.out {
		in[4], in[5] = e.blk(norm.In[1]), e.in(norm.In[3])
		sums := [2]string{e.tmp("sum"), e.tmp("dot")}
		outs = append(outs, sums[:]...)
		e.sums[norm] = sums
	} else {
		norm = nil
	}
	for in[len(in)-1] == "" {
		in = in[:len(in)-1]
	}
	attrs := e.convShapes(op.ConvAttr, n.Out[0].Shape, n.In[1].Shape, n.In[0].Shape)
	e.kernel("ConvGradInput", in, outs, append(attrs, onnx.AttrInt("sums", flag(norm != nil)))...)
}

// reader returns the first node of a kind that reads v as input i and that the
// library will serve; nil if there is none.
func (e *Emitter) reader(v *ir.Value, kind string, i int) *ir.Node {
	if f := e.opts.Forms[kind]; f != "" && f != "kernel" {
		return nil
	}
	for _, n := range e.uses[v] {
		if n.Op.Kind() == kind && n.In[i] == v {
			return n
		}
	}
	return nil
}

// otherInput returns the input of a binary node that is not v.
func otherInput(n *ir.Node, v *ir.Value) *ir.Value {
	if n.In[0] == v {
		return n.In[1]
	}
	return n.In[0]
}

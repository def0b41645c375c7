package lower

import (
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

func init() {
	register("BatchNormTrain", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.normBlocked(n) {
			return false
		}
		e.apply(n, e.blockedTerms(n), nil, false, n.Out[0])
		return true
	}})
	register("BatchNormGrad", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.normBlocked(n) {
			return false
		}
		e.batchNormGradBlocked(n)
		return true
	}})
}

// normBlocked reports whether a norm's map inputs should be taken in blocks.
func (e *Emitter) normBlocked(n *ir.Node) bool {
	x := n.In[0]
	if n.Op.Kind() == "BatchNormGrad" {
		x = n.In[1]
	}
	return e.blockable(x) && (e.isBlocked(x) || e.opts.Forms[n.Op.Kind()] == "blocked")
}

// blockedTerms is plainTerms on blocks.
func (e *Emitter) blockedTerms(n *ir.Node) terms {
	x, s := e.blk(n.In[0]), n.In[0].Shape
	a, b := e.batchStatistics(n, fromConv(n.In[0]), statistics{
		sum: func() string { return e.channelSumBlocked(x, s) },
		dot: func(mean string) string {
			if mean == "" {
				return e.channelDotBlocked(x, x, s)
			}
			ones := e.once("ones", "ConstantOfShape", []string{e.ints(s[1], 1, 1, 1)},
				onnx.AttrTensor("value", onnx.Floats("", []int64{1}, []float32{1})))
			d := e.tmp("centred")
			e.affineBlocked(x, ones, e.do("Neg", []string{mean}), "", false, s, d)
			return e.channelDotBlocked(d, d, s)
		},
	})
	return terms{a: a, b: b, blocked: true}
}

// affineBlocked emits out = act(a·x + b + z) as a depthwise 1×1 convolution on
// blocks; a is [C,1,1,1], b is [C] or empty, z may be empty.
func (e *Emitter) affineBlocked(x, a, b, z string, relu bool, s ir.Shape, out string) {
	in := []string{x, a}
	if b != "" || z != "" {
		in = append(in, b)
	}
	if z != "" {
		in = append(in, z)
	}
	attrs := []*onnx.AttributeProto{onnx.AttrInt("group", int64(s[1])), onnx.AttrInts("kernel_shape", 1, 1)}
	if relu {
		attrs = append(attrs, onnx.AttrString("activation", "Relu"))
	}
	e.emit("com.microsoft.nchwc:Conv", in, []string{out}, attrs...)
}

// channelSumBlocked emits Σ over N, H, W for each channel: [C].
func (e *Emitter) channelSumBlocked(x string, s ir.Shape) string {
	p := e.do("com.microsoft.nchwc:GlobalAveragePool", []string{x})
	p = e.do("ReduceSum", []string{e.reshape(p, s[0], s[1]), e.ints(0)}, onnx.AttrInt("keepdims", 0))
	return e.do("Mul", []string{p, e.scalar(float32(s[2] * s[3]))})
}

// channelDotBlocked emits Σ over N, H, W of u·v for each channel, [C]: every
// map of u is convolved with the map of v at the same place as its filter,
// which is one output pixel.
func (e *Emitter) channelDotBlocked(u, v string, s ir.Shape) string {
	maps := s[0] * s[1]
	d := e.do("com.microsoft.nchwc:Conv",
		[]string{e.reshape(u, 1, maps, s[2], s[3]), e.reshape(v, maps, 1, s[2], s[3])},
		onnx.AttrInt("group", int64(maps)), onnx.AttrInts("kernel_shape", int64(s[2]), int64(s[3])))
	return e.do("ReduceSum", []string{e.reshape(d, s[0], s[1]), e.ints(0)}, onnx.AttrInt("keepdims", 0))
}

func (e *Emitter) batchNormGradBlocked(n *ir.Node) {
	s := n.In[1].Shape
	dy, x := e.blk(n.In[0]), e.blk(n.In[1])
	e.emit("Identity", []string{e.channelSumBlocked(dy, s)}, []string{e.out(n.Out[2])})
	a, b, c := e.batchNormGradTerms(n, e.channelDotBlocked(x, dy, s))
	u := e.tmp("bx")
	e.affineBlocked(x, e.reshape(b, s[1], 1, 1, 1), c, "", false, s, u)
	e.affineBlocked(dy, e.reshape(a, s[1], 1, 1, 1), "", u, false, s, e.outBlk(n.Out[0]))
}

package lower

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// # Channels last
//
// cuDNN's fast convolutions want the channels of a pixel side by side. With
// CUDA's kernel library maps are kept so from the first convolution to the last:
// N×H×W×C in memory, under the declared shape N×C×H×W, as the CPU's channel blocks
// are. What works element by element takes a map as it is; what knows axes takes a
// view N×H×W×C of it. A map of one pixel or of one channel, and so the scale of
// every channel, is the same in both layouts.

// lastForm names the forms here.
const lastForm = "channels_last"

// channelsLast reports whether that is the layout of maps.
func (e *Emitter) channelsLast() bool { return e.opts.Provider == CUDA && e.opts.Kernels }

// lastable reports whether v may have its channels last.
func (e *Emitter) lastable(v *ir.Value) bool {
	return len(v.Shape) == 4 && (v.DType == ir.Float32 || v.DType == ir.Float16) && !e.g.DynamicBatch
}

// oneLayout reports whether a map N×C×H×W is the same in both layouts.
func oneLayout(s ir.Shape) bool { return s[1] == 1 || s[2]*s[3] == 1 }

// toLast emits a value in plain layout with its channels last.
func (e *Emitter) toLast(v *ir.Value) string {
	if oneLayout(v.Shape) {
		return e.in(v)
	}
	x, name := e.in(v), e.tmp("last")
	e.kernel("ToChannelsLast", []string{x}, []string{name}, e.mapShape(v)...)
	return name
}

// fromLast emits a value that exists with its channels last in plain layout.
func (e *Emitter) fromLast(v *ir.Value, name string) {
	if oneLayout(v.Shape) {
		e.plain[v] = name
		return
	}
	e.kernel("FromChannelsLast", []string{name}, []string{e.out(v)}, e.mapShape(v)...)
}

// lastAxes are the axes N, C, H, W of a view N×H×W×C.
var lastAxes = [4]int{0, 3, 1, 2}

// toView brings what belongs to the axes N, C, H, W into the order of a view.
func toView(s []int) []int { return []int{s[0], s[2], s[3], s[1]} }

// viewed emits a node on views of its maps: emit sees it as a node of rank-4
// values N×H×W×C with the given operator.
func (e *Emitter) viewed(n *ir.Node, op ir.Op, emit func(*Emitter, *ir.Node) bool) bool {
	view := &ir.Node{Name: n.Name, Op: op}
	for _, v := range n.In {
		w := &ir.Value{Name: v.Name, Type: ir.Type{DType: v.DType, Shape: toView(v.Shape)}}
		e.plain[w] = e.reshape(e.blk(v), w.Shape...)
		view.In = append(view.In, w)
	}
	out := &ir.Value{Name: n.Out[0].Name + ".view", Type: ir.Type{DType: n.Out[0].DType, Shape: toView(n.Out[0].Shape)}, Node: view}
	view.Out = []*ir.Value{out}
	if !emit(e, view) {
		return false
	}
	e.emit("Reshape", []string{e.in(out), e.ints(n.Out[0].Shape...)}, []string{e.outBlk(n.Out[0])})
	return true
}

// viewAxes brings the attributes of an operator on N×C×H×W into a view's order.
func viewAxes(a [ir.MaxRank]int) [ir.MaxRank]int { return [ir.MaxRank]int(toView(a[:])) }

func viewSlice(s ir.Slice) ir.Slice {
	return ir.Slice{Start: viewAxes(s.Start), Step: viewAxes(s.Step), Size: viewAxes(s.Size)}
}

func init() {
	for _, f := range []ir.UnaryKind{ir.Relu, ir.Neg, ir.Sqrt, ir.Exp, ir.Log, ir.Abs, ir.Sign, ir.Tanh} {
		registerLast(string(f), true, elementwiseBlocked(string(f)))
	}
	for _, f := range []ir.BinaryKind{ir.Add, ir.Sub, ir.Mul, ir.Div, ir.Max, ir.Min} {
		registerLast(string(f), true, emitBinaryLast(string(f)))
	}
	registerLast("Shake", true, emitBinaryLast("Mul"))
	registerLast("Cast", true, func(e *Emitter, n *ir.Node) bool {
		if !e.anyBlocked(n) || !e.blockable(n.Out[0]) {
			return false
		}
		e.emit("Cast", []string{e.blk(n.In[0])}, []string{e.outBlk(n.Out[0])}, castTo(n.Op.(ir.Cast).To))
		return true
	})
	registerLast("ReluGrad", true, func(e *Emitter, n *ir.Node) bool {
		if !e.anyBlocked(n) {
			return false
		}
		zero := e.scalar(0)
		pos := e.do("Greater", []string{e.blk(n.In[1]), zero})
		e.emit("Where", []string{pos, e.blk(n.In[0]), zero}, []string{e.outBlk(n.Out[0])})
		return true
	})
	registerLast("Concat", true, func(e *Emitter, n *ir.Node) bool {
		return e.anyBlocked(n) && e.viewed(n, ir.Concat{Axis: lastAxes[n.Op.(ir.Concat).Axis]}, func(e *Emitter, n *ir.Node) bool {
			e.emit("Concat", e.inputs(n), []string{e.out(n.Out[0])}, onnx.AttrInt("axis", int64(n.Op.(ir.Concat).Axis)))
			return true
		})
	})
	registerLast("Slice", true, func(e *Emitter, n *ir.Node) bool {
		return e.anyBlocked(n) && e.viewed(n, viewSlice(n.Op.(ir.Slice)), emitSlice)
	})
	registerLast("SliceGrad", true, func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.SliceGrad)
		return e.anyBlocked(n) && e.viewed(n, ir.SliceGrad{Slice: viewSlice(op.Slice), Input: viewAxes(op.Input)}, emitSliceGrad)
	})
	registerLast("Pad", true, func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.Pad)
		return e.anyBlocked(n) && e.viewed(n, ir.Pad{Before: viewAxes(op.Before), After: viewAxes(op.After)}, emitPad)
	})
	registerLast("Sum", false, func(e *Emitter, n *ir.Node) bool {
		axes := n.Op.(ir.Sum).Axes
		if axes != ir.Axes(2, 3) && axes != ir.Axes(0, 2, 3) || !e.anyBlocked(n) {
			return false
		}
		d := e.pixelSum(n.In[0])
		if axes == ir.Axes(0, 2, 3) {
			d = e.do("ReduceSum", []string{d, e.ints(0)}, onnx.AttrInt("keepdims", 0))
		}
		e.emit("Reshape", []string{d, e.ints(n.Out[0].Shape...)}, []string{e.out(n.Out[0])})
		return true
	})
	registerLast("GlobalAvgPool", false, func(e *Emitter, n *ir.Node) bool {
		if !e.anyBlocked(n) {
			return false
		}
		s := n.In[0].Shape
		e.emit("Mul", []string{e.pixelSum(n.In[0]), e.scalar(1 / float32(s[2]*s[3]))}, []string{e.out(n.Out[0])})
		return true
	})
	registerLast("GlobalAvgPoolGrad", true, func(e *Emitter, n *ir.Node) bool {
		if !e.blockable(n.Out[0]) {
			return false
		}
		in, s := n.Op.(ir.GlobalAvgPoolGrad).Input, n.In[0].Shape
		d := e.do("Mul", []string{e.in(n.In[0]), e.scalar(1 / float32(in[0]*in[1]))})
		d = e.do("Expand", []string{e.reshape(d, s[0], 1, s[1]), e.ints(s[0], in[0]*in[1], s[1])})
		e.emit("Reshape", []string{d, e.ints(n.Out[0].Shape...)}, []string{e.outBlk(n.Out[0])})
		return true
	})
}

// registerLast adds a form on maps with channels last; half tells that it may
// compute in float16.
func registerLast(kind string, half bool, emit func(*Emitter, *ir.Node) bool) {
	registerKernel(kind, form{name: lastForm, rank: worse(-1), half: half, emit: func(e *Emitter, n *ir.Node) bool {
		return e.channelsLast() && emit(e, n)
	}})
}

// pixelSum emits Σ over the pixels of a map with channels last: N×C.
func (e *Emitter) pixelSum(v *ir.Value) string {
	s := v.Shape
	x := e.reshape(e.blk(v), s[0], s[2]*s[3], s[1])
	return e.do("ReduceSum", []string{x, e.ints(1)}, onnx.AttrInt("keepdims", 0))
}

// emitBinaryLast serves functions of two maps, or of a map and what is spread over
// its pixels or over its channels; inputs beyond the second are the gradient's.
func emitBinaryLast(op string) func(*Emitter, *ir.Node) bool {
	return func(e *Emitter, n *ir.Node) bool {
		out := n.Out[0]
		if n.In[0].Shape.Equal(n.In[1].Shape) {
			if !e.anyBlocked(n) {
				return false
			}
			e.emit(op, []string{e.blk(n.In[0]), e.blk(n.In[1])}, []string{e.outBlk(out)})
			return true
		}
		if !e.blockable(out) {
			return false
		}
		any := e.opts.Forms[n.Op.Kind()] == lastForm
		var in []string
		for _, v := range n.In[:2] {
			if v.Shape.Equal(out.Shape) {
				any = any || e.isBlocked(v)
				continue
			}
			if s := ofRank4(v.Shape); !oneLayout(s) {
				return false
			}
		}
		if !any {
			return false
		}
		for _, v := range n.In[:2] {
			s := ofRank4(v.Shape)
			if v.Shape.Equal(out.Shape) {
				in = append(in, e.reshape(e.blk(v), toView(s)...))
			} else {
				in = append(in, e.reshape(e.in(v), toView(s)...))
			}
		}
		y := e.do(op, in)
		e.emit("Reshape", []string{y, e.ints(out.Shape...)}, []string{e.outBlk(out)})
		return true
	}
}

// ofRank4 puts ones before a shape.
func ofRank4(s ir.Shape) ir.Shape {
	return slices.Concat(ir.Shape{1, 1, 1, 1}[:4-len(s)], s)
}

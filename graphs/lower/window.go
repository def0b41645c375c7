package lower

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Pooling. Forward there is a kernel in either layout. Backward there is none:
// a window's gradient goes to one of its taps, or to all of them, and the taps
// are put in their places by the canvas below.

func init() {
	register("MaxPool", form{name: "direct", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		e.emit("MaxPool", e.inputs(n), []string{e.out(n.Out[0])}, poolAttrs(n.Op.(ir.MaxPool).PoolAttr)...)
		return true
	}})
	register("MaxPool", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.anyBlocked(n) {
			return false
		}
		e.emit("com.microsoft.nchwc:MaxPool", []string{e.blk(n.In[0])}, []string{e.outBlk(n.Out[0])},
			poolAttrs(n.Op.(ir.MaxPool).PoolAttr)...)
		return true
	}})
	// Not in float16, which cannot hold a slope as steep as its mask needs.
	register("MaxPoolGrad", form{name: "taps", rank: worse(1), emit: func(e *Emitter, n *ir.Node) bool {
		dx := e.maxPoolGrad(n, 1, e.in)
		e.emit("Reshape", []string{dx, e.ints(n.Out[0].Shape...)}, []string{e.out(n.Out[0])})
		return true
	}})
	register("MaxPoolGrad", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.anyBlocked(n) {
			return false
		}
		dx := e.maxPoolGrad(n, e.opts.Block, e.blk)
		e.emit("Reshape", []string{dx, e.ints(n.Out[0].Shape...)}, []string{e.outBlk(n.Out[0])})
		return true
	}})
	register("MaxPoolGrad", form{name: "indices", emit: emitMaxPoolIndices})
	register("AvgPool", form{name: "direct", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		op := n.Op.(ir.AvgPool)
		e.emit("AveragePool", e.inputs(n), []string{e.out(n.Out[0])}, avgPoolAttrs(op)...)
		return true
	}})
	register("AvgPool", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.anyBlocked(n) {
			return false
		}
		e.emit("com.microsoft.nchwc:AveragePool", []string{e.blk(n.In[0])}, []string{e.outBlk(n.Out[0])},
			avgPoolAttrs(n.Op.(ir.AvgPool))...)
		return true
	}})
	register("AvgPoolGrad", form{name: "taps", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		dx := e.avgPoolGrad(n, 1, e.in)
		e.emit("Reshape", []string{dx, e.ints(n.Out[0].Shape...)}, []string{e.out(n.Out[0])})
		return true
	}})
	register("AvgPoolGrad", form{name: "blocked", rank: worse(-1), emit: func(e *Emitter, n *ir.Node) bool {
		if !e.anyBlocked(n) {
			return false
		}
		dx := e.avgPoolGrad(n, e.opts.Block, e.blk)
		e.emit("Reshape", []string{dx, e.ints(n.Out[0].Shape...)}, []string{e.outBlk(n.Out[0])})
		return true
	}})
}

func poolAttrs(a ir.PoolAttr) []*onnx.AttributeProto {
	return []*onnx.AttributeProto{attrPair("kernel_shape", a.Kernel), attrPair("strides", a.Stride), attrPads(a.Pad)}
}

func avgPoolAttrs(op ir.AvgPool) []*onnx.AttributeProto {
	return append(poolAttrs(op.PoolAttr), onnx.AttrInt("count_include_pad", flag(op.CountPad)))
}

// canvas is the padded map that windows lie on, viewed as planes × rows ×
// columns × block (the block is 1 in plain layout). Its size is a multiple of
// the stride: cells[0] × cells[1] groups of stride[0] × stride[1] pixels, so
// that tap (i, j) of all windows is pixel (i mod stride, j mod stride) of the
// groups from (i/stride, j/stride) on.
type canvas struct {
	ir.PoolAttr
	planes, block   int
	in, out, cells  [2]int
	before, surplus [2]int // padding before the map, and after it (negative: pixels no window reads)
}

func newCanvas(a ir.PoolAttr, x, y ir.Shape, block int) canvas {
	c := canvas{PoolAttr: a, planes: x[0] * x[1] / block, block: block}
	for i := range 2 {
		c.in[i], c.out[i] = x[2+i], y[2+i]
		c.cells[i] = c.out[i] + (a.Kernel[i]-1)/a.Stride[i]
		c.before[i] = a.Pad[i]
		c.surplus[i] = c.cells[i]*a.Stride[i] - a.Pad[i] - c.in[i]
	}
	return c
}

// maxPoolGrad hands the gradient of each window from tap to tap, in row-major
// order; the first that equals the maximum keeps it. It returns dx on the view
// of a canvas's map.
func (e *Emitter) maxPoolGrad(n *ir.Node, block int, name func(*ir.Value) string) string {
	x, y := n.In[1], n.In[2]
	c := newCanvas(n.Op.(ir.MaxPoolGrad).PoolAttr, x.Shape, y.Shape, block)
	rest := e.reshape(name(n.In[0]), c.planes, c.out[0], c.out[1], block)
	if c.Kernel == [2]int{1, 1} {
		return e.assemble(c, [][]string{{rest}})
	}
	top := e.reshape(name(y), c.planes, c.out[0], c.out[1], block)
	full := e.reshape(name(x), c.planes, c.in[0], c.in[1], block)
	if c.before != [2]int{} || c.surplus[0] > 0 || c.surplus[1] > 0 {
		full = e.do("Pad", []string{full, e.ints(0, c.before[0], c.before[1], 0, 0, max(c.surplus[0], 0), max(c.surplus[1], 0), 0),
			e.scalar(float32(math.Inf(-1)))})
	}
	taps := make([][]string, c.Kernel[0])
	for i := range taps {
		for j := range c.Kernel[1] {
			if i == c.Kernel[0]-1 && j == c.Kernel[1]-1 {
				taps[i] = append(taps[i], rest)
				break
			}
			tap := e.do("Slice", []string{full, e.ints(i, j),
				e.ints(i+(c.out[0]-1)*c.Stride[0]+1, j+(c.out[1]-1)*c.Stride[1]+1), e.ints(1, 2), e.ints(c.Stride[:]...)})
			// 1 where the tap is the maximum, 0 where it is below: one
			// vectorised pass, where Equal and Cast are two.
			below := e.do("Sub", []string{tap, top})
			mask := e.do("HardSigmoid", []string{below}, onnx.AttrFloat("alpha", steep), onnx.AttrFloat("beta", 1))
			taken := e.do("Mul", []string{rest, mask})
			rest = e.do("Sub", []string{rest, taken}) // exact: rest or zero
			taps[i] = append(taps[i], taken)
		}
	}
	return e.assemble(c, taps)
}

// avgPoolGrad gives every tap the gradient divided by its window's count.
func (e *Emitter) avgPoolGrad(n *ir.Node, block int, name func(*ir.Value) string) string {
	op := n.Op.(ir.AvgPoolGrad)
	c := newCanvas(op.PoolAttr, n.Out[0].Shape, n.In[0].Shape, block)
	share := make([]float32, 0, c.out[0]*c.out[1])
	same := true
	for _, r := range op.Counts(0, c.in[0]) {
		for _, q := range op.Counts(1, c.in[1]) {
			share = append(share, 1/float32(r*q))
			same = same && share[0] == share[len(share)-1]
		}
	}
	factor := ""
	if same {
		factor = e.scalar(share[0])
	} else {
		factor = e.floats(ir.Shape{c.out[0], c.out[1], 1}, share)
	}
	d := e.reshape(name(n.In[0]), c.planes, c.out[0], c.out[1], block)
	d = e.do("Mul", []string{d, factor})
	taps := make([][]string, c.Kernel[0])
	for i := range taps {
		for range c.Kernel[1] {
			taps[i] = append(taps[i], d)
		}
	}
	return e.assemble(c, taps)
}

// assemble adds the taps, planes × out × block each, up on the canvas and cuts
// out the map: planes × in × block. The pixels of a group are joined by Concat,
// whose runs are a block long; in plain layout DepthToSpace does it.
func (e *Emitter) assemble(c canvas, taps [][]string) string {
	s := c.Stride
	var phases [][]string
	for a := range s[0] {
		var row []string
		for b := range s[1] {
			row = append(row, e.phase(c, taps, a, b))
		}
		phases = append(phases, row)
	}
	height, width := c.cells[0]*s[0], c.cells[1]*s[1]
	var x string
	switch {
	case s == [2]int{1, 1}:
		x = phases[0][0]
	case c.block == 1 && s[0] == s[1]:
		var all []string
		for _, row := range phases {
			for _, p := range row {
				all = append(all, e.reshape(p, c.planes, 1, c.cells[0], c.cells[1]))
			}
		}
		x = e.do("DepthToSpace", []string{e.join(all)}, onnx.AttrInt("blocksize", int64(s[0])))
		x = e.reshape(x, c.planes, height, width, 1)
	default:
		var rows []string
		for _, row := range phases {
			r := row[0]
			if len(row) > 1 {
				r = e.do("Concat", row, onnx.AttrInt("axis", 3))
			}
			rows = append(rows, e.reshape(r, c.planes*c.cells[0], width*c.block))
		}
		x = e.reshape(e.join(rows), c.planes, height, width, c.block)
	}
	if c.before == [2]int{} && c.surplus == [2]int{} {
		return x
	}
	return e.do("Pad", []string{x, e.ints(0, -c.before[0], -c.before[1], 0, 0, -c.surplus[0], -c.surplus[1], 0)})
}

// phase adds up the taps that fall on pixel (a, b) of the groups.
func (e *Emitter) phase(c canvas, taps [][]string, a, b int) string {
	sum := ""
	for i := a; i < c.Kernel[0]; i += c.Stride[0] {
		for j := b; j < c.Kernel[1]; j += c.Stride[1] {
			t := taps[i][j]
			down, right := i/c.Stride[0], j/c.Stride[1]
			below, beside := c.cells[0]-c.out[0]-down, c.cells[1]-c.out[1]-right
			if down+right+below+beside > 0 {
				t = e.once("", "Pad", []string{t, e.ints(0, down, right, 0, 0, below, beside, 0)})
			}
			if sum != "" {
				t = e.do("Add", []string{sum, t})
			}
			sum = t
		}
	}
	if sum == "" {
		return e.zeros(c.planes, c.cells[0], c.cells[1], c.block)
	}
	return sum
}

// emitMaxPoolIndices takes the places of the maxima from MaxPool, which sees to
// the first in row-major order, and scatters to them. MaxPool is then slow, but
// in plain layout the vectors of the taps are shorter still.
func emitMaxPoolIndices(e *Emitter, n *ir.Node) bool {
	x := n.In[1]
	if s := x.Shape; s[0]*s[1]*s[2] < 2 {
		// A window of NaN has the index −(width+1), which wraps around to a
		// place within any larger tensor.
		return false
	}
	index := e.tmp("index")
	e.emit("MaxPool", []string{e.in(x)}, []string{e.tmp("max"), index}, poolAttrs(n.Op.(ir.MaxPoolGrad).PoolAttr)...)
	d := e.do("ScatterElements", []string{e.zeros(x.Shape.Size()), e.reshape(index, -1), e.reshape(e.in(n.In[0]), -1)},
		onnx.AttrInt("axis", 0), onnx.AttrString("reduction", "add"))
	e.emit("Reshape", []string{d, e.ints(x.Shape...)}, []string{e.out(n.Out[0])})
	return true
}

package lower

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// # Half precision
//
// A form that says so (form.half) emits the same nodes for float16 values as for
// float32 ones; constants take the type it computes in. Any other form, and
// every fusion, is emitted in float32 with casts around it: what it reads is
// widened, what it writes rounded once. A norm, for one, does its arithmetic in
// float32 whatever comes in.
//
// ONNX Runtime's CPU provider has float16 kernels for what moves data and hardly
// any other operator. Around the others it puts casts by itself and then drops
// those that meet (float32 → float16 → float32), so that a chain of such nodes
// rounds nowhere and overflows nowhere: not what a device with float16 kernels
// computes. Here the CPU is for checking what the device will do, so on it those
// operators get the explicit casts too, which the runtime leaves alone. Blocked
// layouts and the CPU's kernel library know float32 only, and take no float16
// value; that of CUDA takes both types.

// cpuHalf lists the operators whose forms are of nodes that have float16 kernels
// on the CPU.
var cpuHalf = []string{"Cast", "Concat", "Expand", "Max", "Min", "Reshape", "Sign", "Slice", "Split", "Transpose"}

func init() {
	register("Cast", form{name: "direct", half: true, emit: func(e *Emitter, n *ir.Node) bool {
		e.emit("Cast", e.inputs(n), []string{e.out(n.Out[0])}, castTo(n.Op.(ir.Cast).To))
		return true
	}})
}

func castTo(d ir.DType) *onnx.AttributeProto { return onnx.AttrInt("to", int64(elem(d))) }

// numbers makes an initializer.
func numbers(d ir.DType, name string, shape ir.Shape, data []float32) *onnx.TensorProto {
	if d == ir.Float16 {
		return onnx.Halves(name, dims(shape), data)
	}
	return onnx.Floats(name, dims(shape), data)
}

// elem is the type that the present form computes in.
func (e *Emitter) elem() ir.DType {
	if e.half {
		return ir.Float16
	}
	return ir.Float32
}

// float32 emits a value of the type that the present form computes in as
// float32, for what has to be added up there.
func (e *Emitter) float32(x string) string {
	if !e.half {
		return x
	}
	return e.do("Cast", []string{x}, castTo(ir.Float32))
}

// hasHalf reports whether a node reads or writes float16.
func hasHalf(n *ir.Node) bool {
	for _, vs := range [][]*ir.Value{n.In, n.Out} {
		for _, v := range vs {
			if v.DType == ir.Float16 {
				return true
			}
		}
	}
	return false
}

// apply emits a node in a form, as emit does.
func (f form) apply(e *Emitter, n *ir.Node) bool {
	if !hasHalf(n) {
		return f.emit(e, n)
	}
	if f.half && (e.opts.Provider == CUDA || slices.Contains(cpuHalf, n.Op.Kind())) {
		e.half = true
		defer func() { e.half = false }()
		return f.emit(e, n)
	}
	ok := false
	e.inFloat32(func() { ok = f.emit(e, n) })
	return ok
}

// copies are the float32 copies of a node's float16 values in one layout: their
// names, and which of them the node writes.
type copies struct {
	names   map[*ir.Value]string
	written []*ir.Value
}

// inFloat32 lets emit see float32 in place of float16 values. Copies last for
// this one emission: kept from the forward pass to the backward, they would
// cost the memory that float16 saves.
func (e *Emitter) inFloat32(emit func()) {
	plain, last := &copies{names: map[*ir.Value]string{}}, &copies{names: map[*ir.Value]string{}}
	e.widened, e.widenedLast = plain, last
	emit()
	e.widened, e.widenedLast = nil, nil
	e.narrow(plain, e.out)
	e.narrow(last, e.outBlk)
}

// narrow rounds what a node has written, under the names that out gives.
func (e *Emitter) narrow(c *copies, out func(*ir.Value) string) {
	for _, v := range c.written {
		e.emit("Cast", []string{c.names[v]}, []string{out(v)}, castTo(ir.Float16))
	}
}

// widen returns the copy of a float16 value within inFloat32; in gives the name
// of the value itself.
func (e *Emitter) widen(c *copies, v *ir.Value, in func(*ir.Value) string) string {
	if name := c.names[v]; name != "" {
		return name
	}
	widened := e.widened
	e.widened = nil
	name := in(v)
	e.widened = widened
	c.names[v] = e.do("Cast", []string{name}, castTo(ir.Float32))
	return c.names[v]
}

// outWidened names the copy that a node is about to write within inFloat32.
func (e *Emitter) outWidened(c *copies, v *ir.Value) string {
	c.names[v] = e.tmp("float32")
	c.written = append(c.written, v)
	return c.names[v]
}

package importer

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// fold computes a node whose result is known when the model is read, and tells
// whether it was one: the sizes of values, and what is computed from sizes and
// constants. A float initializer of several elements is a parameter, so nothing
// is computed from it here.
func (w *walker) fold() bool {
	n := w.node
	switch n.GetOpType() {
	case "Shape", "Size":
		return w.foldShape()
	case "CastLike": // of numbers to the type of a computed value: floats
		if v := w.in(0); v.h != nil || v.name != "" && (!w.s.tensors[v.name].float() || w.s.tensors[v.name].literal) {
			h := *w.known(0)
			h.float = h.float || !w.has(1) || w.in(1).v != nil
			w.bind(0, value{h: &h})
			return true
		}
	}
	if len(n.GetInput()) == 0 || len(n.GetOutput()) != 1 {
		return false
	}
	for i := range n.GetInput() {
		if !w.has(i) {
			continue
		}
		v := w.in(i)
		if v.v != nil {
			return false
		}
		if v.name != "" {
			t := w.s.tensors[v.name]
			if size, ok := count(t.shape()); !ok || t.float() && !t.literal && size > 1 {
				return false
			}
		}
	}
	h := w.evaluate()
	if h == nil {
		return false
	}
	if n, ok := count(h.shape); !ok || n != len(h.data) {
		w.fail("a value of shape %v is too large to compute when the model is read", h.shape)
	}
	w.bind(0, value{h: h})
	return true
}

func (w *walker) foldShape() bool {
	v := w.in(0)
	var s ir.Shape
	switch {
	case v.v != nil:
		s = v.v.Shape
	case v.h != nil:
		s = v.h.shape
	default:
		s = w.s.tensors[v.name].shape()
	}
	if w.node.GetOpType() == "Size" {
		w.bind(0, value{h: scalar(float64(s.Size()))})
		return true
	}
	end := w.int("end", len(s))
	start := w.int("start", 0)
	for _, x := range []*int{&start, &end} {
		if *x < 0 {
			*x += len(s)
		}
		*x = min(max(*x, 0), len(s))
	}
	w.bind(0, value{h: vector(s[start:max(start, end)]...)})
	return true
}

// evaluate returns the result of a node of known inputs, or nil if it is of no
// kind that shapes are computed by.
func (w *walker) evaluate() *host {
	op := w.node.GetOpType()
	if f := functions[op]; f != nil {
		x := w.known(0)
		out := &host{shape: x.shape, float: x.float, data: make([]float64, len(x.data))}
		for i, v := range x.data {
			out.data[i] = f(v)
		}
		return out
	}
	if f := arithmetic[op]; f != nil && len(w.node.GetInput()) == 2 {
		return w.pairs(f)
	}
	switch op {
	case "Div":
		a, b := w.known(0), w.known(1)
		if a.float || b.float {
			return w.pairs(func(a, b float64) float64 { return a / b })
		}
		return w.pairs(func(a, b float64) float64 {
			if b == 0 {
				w.fail("division by zero")
			}
			return math.Trunc(a / b)
		})
	case "Identity", "Dropout":
		return w.known(0)
	case "Cast":
		return w.foldCast()
	case "Where":
		return w.foldWhere()
	case "Gather":
		x := w.known(0)
		out, ok := x.gathered(w.axis(w.int("axis", 0), len(x.shape)), w.known(1))
		if !ok {
			w.fail("an index lies outside its value")
		}
		return out
	case "Concat":
		return w.foldConcat()
	case "Slice":
		return w.foldSlice()
	case "Squeeze", "Unsqueeze", "Reshape", "Flatten":
		x := w.known(0)
		return &host{shape: w.reshaped(x.shape), data: x.data, float: x.float}
	case "ConstantOfShape":
		return w.foldConstantOfShape()
	case "Range":
		return w.foldRange()
	case "Expand":
		x, to := w.known(0), ir.Shape(w.known(1).ints())
		return w.foldExpand(x, to)
	case "ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin":
		return w.foldReduce(op)
	case "Tile":
		return w.foldTile()
	case "Transpose":
		return w.foldTranspose()
	}
	return nil
}

func (w *walker) pairs(f func(a, b float64) float64) *host {
	a, b := w.known(0), w.known(1)
	s := w.broadcast(a.shape, b.shape)
	n, ok := count(s)
	if !ok {
		w.fail("a value of shape %v is too large to compute when the model is read", s)
	}
	out := &host{shape: s, float: a.float || b.float, data: make([]float64, n)}
	for i := range out.data {
		out.data[i] = f(a.data[pick(i, s, a.shape)], b.data[pick(i, s, b.shape)])
	}
	return out
}

func (w *walker) broadcast(a, b ir.Shape) ir.Shape {
	s, err := ir.Broadcasted(a, b)
	if err != nil {
		w.fail("%w", err)
	}
	return s
}

func (w *walker) foldCast() *host {
	x := w.known(0)
	out := &host{shape: x.shape, data: make([]float64, len(x.data))}
	switch onnx.TensorProto_DataType(w.int("to", 0)) {
	case onnx.TensorProto_FLOAT, onnx.TensorProto_DOUBLE, onnx.TensorProto_FLOAT16, onnx.TensorProto_BFLOAT16:
		out.float = true
		copy(out.data, x.data)
	case onnx.TensorProto_BOOL:
		for i, v := range x.data {
			out.data[i] = truth(v != 0)
		}
	default:
		for i, v := range x.data {
			out.data[i] = math.Trunc(v)
		}
	}
	return out
}

func (w *walker) foldWhere() *host {
	c, a, b := w.known(0), w.known(1), w.known(2)
	s := w.broadcast(w.broadcast(c.shape, a.shape), b.shape)
	n, ok := count(s)
	if !ok {
		w.fail("a value of shape %v is too large to compute when the model is read", s)
	}
	out := &host{shape: s, float: a.float, data: make([]float64, n)}
	for i := range out.data {
		from := a
		if c.data[pick(i, s, c.shape)] == 0 {
			from = b
		}
		out.data[i] = from.data[pick(i, s, from.shape)]
	}
	return out
}

func (w *walker) foldConcat() *host {
	out := &host{}
	first := w.known(0)
	axis := w.axis(w.int("axis", 0), len(first.shape))
	if axis != 0 {
		return nil
	}
	out.float = first.float
	out.shape = append(out.shape, first.shape...)
	out.shape[0] = 0
	for i := range w.node.GetInput() {
		x := w.known(i)
		if len(x.shape) != len(first.shape) {
			w.fail("values of shapes %v and %v cannot be joined", first.shape, x.shape)
		}
		out.shape[0] += x.shape[0]
		out.data = append(out.data, x.data...)
	}
	return out
}

func (w *walker) foldSlice() *host {
	x := w.known(0)
	for _, r := range w.ranges(x.shape) {
		index := &host{shape: ir.Shape{r.size}}
		for i := range r.size {
			index.data = append(index.data, float64(r.start+i*r.step))
		}
		var ok bool
		if x, ok = x.gathered(r.axis, index); !ok {
			w.fail("a slice lies outside its value")
		}
	}
	return x
}

func (w *walker) foldConstantOfShape() *host {
	s := ir.Shape(w.known(0).ints())
	n, ok := count(s)
	if !ok {
		w.fail("a value of shape %v is too large to compute when the model is read", s)
	}
	out := &host{shape: s, float: true, data: make([]float64, n)}
	if a := w.attr("value"); a != nil && a.GetT() != nil {
		v, err := (&tensor{proto: a.GetT()}).decode()
		if err != nil || len(v.data) != 1 {
			w.fail("its value is not one number")
		}
		out.float = v.float
		for i := range out.data {
			out.data[i] = v.data[0]
		}
	}
	return out
}

func (w *walker) foldRange() *host {
	start, limit, delta := w.number(0), w.number(1), w.number(2)
	n := math.Ceil((limit - start) / delta)
	if !(n >= 0 && n <= maxHost) {
		w.fail("a range from %g to %g by %g", start, limit, delta)
	}
	out := &host{shape: ir.Shape{int(n)}, float: w.known(0).float, data: make([]float64, int(n))}
	for i := range out.data {
		out.data[i] = start + float64(i)*delta
	}
	return out
}

func (w *walker) foldExpand(x *host, to ir.Shape) *host {
	s := w.broadcast(x.shape, to)
	n, ok := count(s)
	if !ok {
		w.fail("a value of shape %v is too large to compute when the model is read", s)
	}
	out := &host{shape: s, float: x.float, data: make([]float64, n)}
	for i := range out.data {
		out.data[i] = x.data[pick(i, s, x.shape)]
	}
	return out
}

func (w *walker) foldTranspose() *host {
	x, perm := w.known(0), w.ints("perm")
	if w.attr("perm") == nil {
		for i := range x.shape {
			perm = append(perm, len(x.shape)-1-i)
		}
	}
	if len(perm) > ir.ReshapeRank {
		return nil
	}
	types, err := ir.Permute(perm...).Infer([]ir.Type{{Shape: x.shape}})
	if err != nil || len(perm) != len(x.shape) {
		w.fail("axes %v do not fit a value of shape %v", perm, x.shape)
	}
	out := &host{shape: types[0].Shape, float: x.float, data: make([]float64, len(x.data))}
	strides := make([]int, len(perm))
	for i, n := len(perm)-1, 1; i >= 0; i-- {
		strides[i] = n
		n *= x.shape[i]
	}
	for i := range out.data {
		at, rest := 0, i
		for axis := len(perm) - 1; axis >= 0; axis-- {
			at += rest % out.shape[axis] * strides[perm[axis]]
			rest /= out.shape[axis]
		}
		out.data[i] = x.data[at]
	}
	return out
}

// foldReduce reduces a vector to one number: the only case in shapes.
func (w *walker) foldReduce(op string) *host {
	x := w.known(0)
	if len(x.shape) != 1 || len(x.data) == 0 {
		return nil
	}
	v := x.data[0]
	for _, y := range x.data[1:] {
		switch op {
		case "ReduceProd":
			v *= y
		case "ReduceSum":
			v += y
		case "ReduceMax":
			v = math.Max(v, y)
		default:
			v = math.Min(v, y)
		}
	}
	out := &host{float: x.float, data: []float64{v}}
	if w.int("keepdims", 1) != 0 {
		out.shape = ir.Shape{1}
	}
	return out
}

func (w *walker) foldTile() *host {
	x, times := w.known(0), w.known(1).ints()
	if len(x.shape) != 1 || len(times) != 1 || times[0] < 0 || times[0] > maxHost || len(x.data)*times[0] > maxHost {
		return nil
	}
	out := &host{shape: ir.Shape{len(x.data) * times[0]}, float: x.float}
	for range times[0] {
		out.data = append(out.data, x.data...)
	}
	return out
}

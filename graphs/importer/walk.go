package importer

import (
	"fmt"
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/nn"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// value is known (h) or computed in the graph (v); name is that of the constant
// of the file that it is, if it is one.
type value struct {
	v    *ir.Value
	h    *host
	name string
}

// hints carry the batch axes of reshaped values, in the order of the walk;
// while recording, the shapes that they are found from.
type hints struct {
	axes   []int
	next   int
	record bool
	shapes []ir.Shape

	declared []Weight
}

func (h *hints) axis(s ir.Shape) int {
	if h.record {
		h.shapes = append(h.shapes, s)
		return 0
	}
	h.next++
	if h.next > len(h.axes) {
		panic("importer: the walk differs from its trial")
	}
	return h.axes[h.next-1]
}

// walker translates one node after the other.
type walker struct {
	s      *Source
	b      *nn.Builder
	c      models.Config
	images *ir.Value
	hints  *hints
	env    map[string]value
	params map[string]*ir.Value
	names  map[string]bool // declared
	index  int
	node   *onnx.NodeProto
}

// failure is what a translation panics with, for walk to return.
type failure struct{ err error }

// fail ends the walk with an error that names the node.
func (w *walker) fail(format string, args ...any) {
	panic(failure{fmt.Errorf("node %s (%s): %w", nodeName(w.node), w.node.GetOpType(), fmt.Errorf(format, args...))})
}

// walk appends the network to b's graph and returns the logits N×Classes.
func (s *Source) walk(b *nn.Builder, x *ir.Value, c models.Config, h *hints) (logits *ir.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			f, ok := p.(failure)
			if !ok {
				panic(p)
			}
			logits, err = nil, f.err
		}
	}()
	if want := s.Input[0]; want != 0 && want != c.Input[0] {
		return nil, fmt.Errorf("it takes images of %d channels, the data have %d", want, c.Input[0])
	}
	w := &walker{s: s, b: b, c: c, images: x, hints: h, env: map[string]value{}, params: map[string]*ir.Value{}, names: map[string]bool{}}
	w.env[s.input] = value{v: x}
	if s.channelsLast {
		w.node = &onnx.NodeProto{OpType: "Transpose", Name: s.input}
		w.env[s.input] = value{v: w.one(ir.Permute(0, 2, 3, 1), x)}
	}
	for i, n := range s.nodes {
		w.index, w.node = i, n
		if len(n.GetOutput()) == 0 || n.GetOutput()[0] == "" {
			w.fail("it has no first output")
		}
		if !w.fold() {
			translations[n.GetOpType()](w)
		}
	}
	y := w.env[s.output].v
	if y == nil {
		return nil, fmt.Errorf("its output %s does not depend on the image", s.output)
	}
	if len(y.Shape) == 4 && y.Shape[2] == 1 && y.Shape[3] == 1 {
		y = w.reshape(y, y.Shape[:2])
	}
	if want := (ir.Shape{x.Shape[0], c.Classes}); !y.Shape.Equal(want) {
		if s.head.node == nil {
			return nil, fmt.Errorf("its output is %v, not %v, and it has no head that could be replaced", y.Shape, want)
		}
		return nil, fmt.Errorf("its output is %v, not %v for %d images of %d classes", y.Shape, want, x.Shape[0], c.Classes)
	}
	return y, nil
}

// has reports whether the node has its i-th input.
func (w *walker) has(i int) bool { return i < len(w.node.GetInput()) && w.node.GetInput()[i] != "" }

// in returns the node's i-th input.
func (w *walker) in(i int) value {
	if !w.has(i) {
		w.fail("it lacks input %d", i)
	}
	name := w.node.GetInput()[i]
	if v, ok := w.env[name]; ok {
		return v
	}
	if w.s.tensors[name] == nil {
		w.fail("nothing computes its input %q", name)
	}
	return value{name: name}
}

// isConst reports whether the i-th input is a constant of the file.
func (w *walker) isConst(i int) bool { return w.has(i) && w.in(i).name != "" }

// known returns the i-th input if it can be told without running the model.
func (w *walker) known(i int) *host {
	v := w.in(i)
	if v.h == nil && v.name != "" {
		h, err := w.s.tensors[v.name].decode()
		if err != nil {
			w.fail("%w", err)
		}
		return h
	}
	if v.h == nil {
		w.fail("input %q depends on the image: a dynamic shape or setting that cannot be resolved", w.node.GetInput()[i])
	}
	return v.h
}

// number returns a scalar input.
func (w *walker) number(i int) float64 {
	h := w.known(i)
	if len(h.data) != 1 {
		w.fail("input %q has %d elements, one is expected", w.node.GetInput()[i], len(h.data))
	}
	return h.data[0]
}

// tensor returns the i-th input as a value of the graph. An initializer of
// more than one element is a parameter that starts from the file's values
// whatever happens; a literal is a constant.
func (w *walker) tensor(i int) *ir.Value {
	v := w.in(i)
	switch {
	case v.v != nil:
		return v.v
	case v.h != nil:
		return w.constant(v.h)
	}
	t := w.s.tensors[v.name]
	if t.float() && !t.literal && t.shape().Size() > 1 {
		return w.param(v.name, v.name, nn.Tensor{Bias: len(t.shape()) <= 1}, true)
	}
	return w.constant(w.known(i))
}

func (w *walker) constant(h *host) *ir.Value {
	if len(h.shape) > 0 && h.shape.Size() == 0 {
		w.fail("a value has no elements")
	}
	v := w.b.G.Const("const", h.shape, h.floats())
	v.Anonymous = true
	return v
}

// param declares a tensor of the file as a parameter. The shape of t may be
// another than the file's where the head is made anew.
func (w *walker) param(name, from string, t nn.Tensor, fixed bool) *ir.Value {
	if v := w.params[name]; v != nil {
		return v
	}
	t.Name, t.Shape = w.declare(name, from, t.Shape, fixed)
	v := w.b.Source.Param(t)
	w.params[name] = v
	return v
}

// declare records a tensor and returns the name under which the model has it.
func (w *walker) declare(name, from string, shape ir.Shape, fixed bool) (string, ir.Shape) {
	t := w.s.tensors[from]
	if shape == nil {
		shape = t.shape()
	}
	for _, d := range shape {
		if d < 1 || d > maxDim {
			w.fail("tensor %q has shape %v", from, shape)
		}
	}
	if taken[name] {
		name += ".tensor"
	}
	if base := name; w.names[name] {
		name = base + "@" + w.node.GetOutput()[0]
		for i := 1; w.names[name]; i++ {
			name = fmt.Sprintf("%s@%s.%d", base, w.node.GetOutput()[0], i)
		}
	}
	w.names[name] = true
	w.hints.declared = append(w.hints.declared, Weight{Name: name, Shape: t.shape(), Fixed: fixed, from: t})
	return name, shape
}

// taken are the names that the graphs of an artifact set use themselves.
var taken = map[string]bool{"images": true, "targets": true, "params": true, "stats": true, "noise": true, "gradients": true,
	"loss": true, "logits": true}

// weight returns the i-th input, which must be a constant of the file, as a
// weight with the given fans.
func (w *walker) weight(i int, shape ir.Shape, fanIn int) *ir.Value {
	t := nn.Tensor{Shape: shape, Init: ir.Init{Kind: ir.InitHeNormal, Fan: max(1, fanIn)}}
	if w.isHead() {
		t.Init = ir.Init{Kind: ir.InitUniform, Bound: 1 / math.Sqrt(float64(max(1, fanIn)))}
	}
	return w.constParam(i, t)
}

// bias returns the i-th input as a bias.
func (w *walker) bias(i int, shape ir.Shape) *ir.Value {
	return w.constParam(i, nn.Tensor{Shape: shape, Bias: true, Init: ir.Init{Kind: ir.InitZeros}})
}

func (w *walker) constParam(i int, t nn.Tensor) *ir.Value {
	v := w.in(i)
	if v.name == "" {
		w.fail("its weights %q are computed, not given", w.node.GetInput()[i])
	}
	if !w.s.tensors[v.name].float() {
		w.fail("its weights %q are not floating-point numbers: quantised models cannot be trained", v.name)
	}
	return w.param(v.name, v.name, t, false)
}

// set binds the node's i-th output.
func (w *walker) set(i int, v *ir.Value) { w.bind(i, value{v: v}) }

func (w *walker) bind(i int, v value) {
	if i < len(w.node.GetOutput()) {
		w.env[w.node.GetOutput()[i]] = v
	}
}

// one appends an operator and returns its output.
func (w *walker) one(op ir.Op, in ...*ir.Value) *ir.Value { return w.apply(op, in...)[0] }

func (w *walker) apply(op ir.Op, in ...*ir.Value) []*ir.Value {
	name := w.node.GetName()
	if out := w.node.GetOutput(); name == "" && len(out) > 0 {
		name = out[0]
	}
	out, err := w.b.G.TryApply(name, op, in...)
	if err != nil {
		w.fail("%w", err)
	}
	for _, v := range out {
		n := 1
		for _, d := range v.Shape {
			if n > math.MaxInt32/d {
				w.fail("a value of shape %v is larger than 2³¹ elements", v.Shape)
			}
			n *= d
		}
	}
	return out
}

func (w *walker) binary(f ir.BinaryKind, a, b *ir.Value) *ir.Value {
	return w.one(ir.Binary{F: f}, a, b)
}

func (w *walker) unary(f ir.UnaryKind, x *ir.Value) *ir.Value { return w.one(ir.Unary{F: f}, x) }

// times multiplies by a number.
func (w *walker) times(x *ir.Value, by float64) *ir.Value {
	return w.binary(ir.Mul, x, w.b.G.Scalar(float32(by)))
}

// plus adds a number.
func (w *walker) plus(x *ir.Value, by float64) *ir.Value {
	return w.binary(ir.Add, x, w.b.G.Scalar(float32(by)))
}

// reshape gives x another shape. It always appends an operator, so that walks
// of different batch sizes keep step.
func (w *walker) reshape(x *ir.Value, to ir.Shape) *ir.Value {
	if len(to) > ir.ReshapeRank {
		w.fail("a value of shape %v has more than %d axes", to, ir.ReshapeRank)
	}
	for _, d := range to {
		if d < 1 || d > math.MaxInt32 {
			w.fail("a value would have shape %v", to)
		}
	}
	op := ir.ReshapeTo(to)
	op.Batch = w.hints.axis(to)
	return w.one(op, x)
}

// expand repeats x to a shape.
func (w *walker) expand(x *ir.Value, to ir.Shape) *ir.Value {
	if len(to) > ir.ReshapeRank {
		w.fail("a value of shape %v has more than %d axes", to, ir.ReshapeRank)
	}
	op := ir.ExpandTo(to)
	op.Batch = w.hints.axis(to)
	return w.one(op, x)
}

// permute transposes x; two permutations in a row become one.
func (w *walker) permute(x *ir.Value, perm []int) *ir.Value {
	if n := x.Node; n != nil && len(perm) <= ir.ReshapeRank {
		if before, ok := n.Op.(ir.Transpose); ok {
			joined := make([]int, len(perm))
			same := true
			for i, p := range perm {
				if p < 0 || p >= len(perm) {
					w.fail("axes %v are no permutation", perm)
				}
				joined[i] = before.Perm[p]
				same = same && joined[i] == i
			}
			if same {
				return n.In[0]
			}
			return w.one(ir.Permute(joined...), n.In[0])
		}
	}
	if len(perm) > ir.ReshapeRank || len(perm) != len(x.Shape) {
		w.fail("axes %v do not fit a value of shape %v", perm, x.Shape)
	}
	return w.one(ir.Permute(perm...), x)
}

// cut takes size elements from start in steps along one axis, of a value of any
// rank.
func (w *walker) cut(x *ir.Value, axis, start, step, size int) *ir.Value {
	s := x.Shape
	if start == 0 && step == 1 && size == s[axis] {
		return x
	}
	view := x
	inner := s
	at := axis
	if len(s) > ir.MaxRank {
		inner = ir.Shape{s[:axis].Size(), s[axis], s[axis+1:].Size()}
		view, at = w.reshape(x, inner), 1
	}
	op := ir.Range(inner, at, start, size)
	op.Step[at] = step
	y := w.one(op, view)
	if len(s) > ir.MaxRank {
		to := append(ir.Shape(nil), s...)
		to[axis] = size
		y = w.reshape(y, to)
	}
	return y
}

// axis normalises a possibly negative axis of a value of the given rank.
func (w *walker) axis(a, rank int) int {
	if a < 0 {
		a += rank
	}
	if a < 0 || a >= rank {
		w.fail("axis %d does not exist in a value of rank %d", a, rank)
	}
	return a
}

// attr returns an attribute of the node, or nil.
func (w *walker) attr(name string) *onnx.AttributeProto {
	for _, a := range w.node.GetAttribute() {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

func (w *walker) int(name string, usual int) int {
	if a := w.attr(name); a != nil {
		return w.bounded(a.GetI())
	}
	return usual
}

func (w *walker) bounded(x int64) int {
	if x < -maxDim || x > maxDim {
		w.fail("an attribute is %d", x)
	}
	return int(x)
}

func (w *walker) ints(name string) []int {
	var out []int
	for _, x := range w.attr(name).GetInts() {
		out = append(out, w.bounded(x))
	}
	return out
}

func (w *walker) float(name string, usual float32) float32 {
	if a := w.attr(name); a != nil {
		return a.GetF()
	}
	return usual
}

func (w *walker) text(name string) string { return string(w.attr(name).GetS()) }

// list returns what is an attribute up to an operator set and the i-th input
// from it on; ok is false if it is not given.
func (w *walker) list(name string, i int) (list []int, ok bool) {
	if w.has(i) {
		for _, x := range w.known(i).ints() {
			list = append(list, min(max(x, -maxDim), maxDim))
		}
		return list, true
	}
	if w.attr(name) == nil {
		return nil, false
	}
	return w.ints(name), true
}

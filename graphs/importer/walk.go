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

// walker translates one node after the other.
type walker struct {
	s      *Source
	b      *nn.Builder
	c      models.Config
	images *ir.Value
	hints  *hints
	env    map[string]value
	params map[[2]string]*ir.Value // by name and owner
	names  map[string]bool         // declared
	pixels map[*ir.Value]bool      // the images, and what was made of them ahead of any weights
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
	w := &walker{s: s, b: b, c: c, images: x, hints: h, env: map[string]value{}, params: map[[2]string]*ir.Value{}, names: map[string]bool{},
		pixels: map[*ir.Value]bool{x: true}}
	w.env[s.input] = value{v: x}
	if s.channelsLast {
		w.node = &onnx.NodeProto{OpType: "Transpose", Name: s.input}
		w.env[s.input] = value{v: w.one(ir.Permute(0, 2, 3, 1), x)}
		w.pixels[w.env[s.input].v] = true
	}
	for i, n := range s.nodes {
		w.index, w.node = i, n
		if len(n.GetOutput()) == 0 || n.GetOutput()[0] == "" {
			w.fail("it has no first output")
		}
		if !w.fold() {
			pixels := w.prepares()
			translations[n.GetOpType()](w)
			for _, out := range n.GetOutput() {
				if v := w.env[out].v; pixels && v != nil {
					w.pixels[v] = true
				}
			}
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

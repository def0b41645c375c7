package importer

import (
	"fmt"
	"math"
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

// Which of the file's tensors become parameters, and of whom.
//
// Exporters write equal tensors once: the shifts of a new network, all zeros,
// are one initializer. So a vector belongs to the layer that reads it, that of
// a convolution or linear layer to its kernel, and layers of equal vectors are
// trained apart. Kernels are not equal by chance: one that two nodes read is
// shared.

// tensor returns the i-th input as a value of the graph. An initializer of
// more than one element is a parameter that starts from the file's values
// whatever happens; a literal is a constant, and so is what prepares the pixels.
func (w *walker) tensor(i int) *ir.Value {
	v := w.in(i)
	switch {
	case v.v != nil:
		return v.v
	case v.h != nil:
		return w.constant(v.h)
	}
	t := w.s.tensors[v.name]
	if t.float() && !t.literal && t.shape().Size() > 1 && !w.prepares() {
		owner := ""
		if s := t.shape(); s.Size() == slices.Max(s) {
			owner = w.node.GetOutput()[0]
		}
		return w.param(v.name, owner, nn.Tensor{Bias: len(t.shape()) <= 1}, true)
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

// param declares a tensor of the file as a parameter, one for each owner; "" is
// the owner of what may be shared. The shape of t may be another than the
// file's where the head is made anew.
func (w *walker) param(name, owner string, t nn.Tensor, fixed bool) *ir.Value {
	key := [2]string{name, owner}
	if v := w.params[key]; v != nil {
		return v
	}
	t.Name, t.Shape = w.declare(name, t.Shape, fixed)
	v := w.b.Source.Param(t)
	w.params[key] = v
	return v
}

// preparations are the operators that bring pixels into the range and the order
// that the network was made for, ahead of its first layer.
var preparations = map[string]bool{"Add": true, "Sub": true, "Mul": true, "Div": true, "Transpose": true, "Pad": true, "Cast": true,
	"Identity": true, "Slice": true, "Split": true, "Gather": true, "Concat": true, "Unsqueeze": true, "Squeeze": true, "Reshape": true}

// prepares reports whether the node does nothing but prepare the pixels, whose
// means and deviations are no weights.
func (w *walker) prepares() bool {
	if !preparations[w.node.GetOpType()] {
		return false
	}
	found := false
	for i := range w.node.GetInput() {
		if w.has(i) {
			if v := w.in(i).v; v != nil {
				if !w.pixels[v] {
					return false
				}
				found = true
			}
		}
	}
	return found
}

// declare records a tensor of the file and returns the name under which the
// model has it.
func (w *walker) declare(name string, shape ir.Shape, fixed bool) (string, ir.Shape) {
	t := w.s.tensors[name]
	if shape == nil {
		shape = t.shape()
	}
	for _, d := range shape {
		if d < 1 || d > maxDim {
			w.fail("tensor %q has shape %v", name, shape)
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
	return w.constParam(i, "", t)
}

// bias returns the i-th input as the bias of the node's kernel.
func (w *walker) bias(i int, shape ir.Shape) *ir.Value {
	owner := w.node.GetOutput()[0]
	if op := w.node.GetOpType(); (op == "Conv" || op == "Gemm") && w.isConst(1) {
		owner = w.in(1).name
	}
	return w.constParam(i, owner, nn.Tensor{Shape: shape, Bias: true, Init: ir.Init{Kind: ir.InitZeros}})
}

func (w *walker) constParam(i int, owner string, t nn.Tensor) *ir.Value {
	v := w.in(i)
	if v.name == "" {
		w.fail("its weights %q are computed, not given", w.node.GetInput()[i])
	}
	if !w.s.tensors[v.name].float() {
		w.fail("its weights %q are not floating-point numbers: quantised models cannot be trained", v.name)
	}
	return w.param(v.name, owner, t, false)
}

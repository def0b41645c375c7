package importer

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// head is the layer that makes the logits.
type head struct {
	node *onnx.NodeProto
	// bias is the Add behind a MatMul that adds the bias, or nil.
	bias *onnx.NodeProto
	// axis is that of the weights which counts the classes.
	axis int
}

// transparent operators may stand between the head and the logits.
var transparent = map[string]bool{"Flatten": true, "Reshape": true, "Squeeze": true, "Unsqueeze": true, "GlobalAveragePool": true,
	"AveragePool": true, "ReduceMean": true, "Dropout": true, "Relu": true, "Transpose": true, "Identity": true, "Cast": true}

// findHead looks backwards from the logits for a product with weights of the
// file, or finds the one that is named.
func (s *Source) findHead(named string) error {
	producer := map[string]*onnx.NodeProto{}
	for _, n := range s.nodes {
		for _, out := range n.GetOutput() {
			producer[out] = n
		}
	}
	if named != "" {
		for _, n := range s.nodes {
			if !mentions(n, named) {
				continue
			}
			if s.isHeadOp(n) {
				return s.takeHead(n, nil)
			}
		}
		return fmt.Errorf("it has no layer %q with weights that could be the head", named)
	}
	var bias *onnx.NodeProto
	for name := s.output; ; {
		n := producer[name]
		switch {
		case n == nil:
			return nil
		case s.isHeadOp(n):
			return s.takeHead(n, bias)
		case n.GetOpType() == "Add" && len(n.GetInput()) == 2:
			// A bias: one summand is a constant of the file.
			inner := -1
			for i, in := range n.GetInput() {
				if t := s.tensors[n.GetInput()[1-i]]; t != nil && s.tensors[in] == nil && len(t.proto.GetDims()) == 1 {
					inner = i
				}
			}
			if inner < 0 {
				return nil
			}
			bias, name = n, n.GetInput()[inner]
		case transparent[n.GetOpType()] && len(n.GetInput()) > 0:
			name = n.GetInput()[0]
		default:
			return nil
		}
	}
}

// mentions reports whether a node or one of its values has the name.
func mentions(n *onnx.NodeProto, name string) bool {
	if n.GetName() == name {
		return true
	}
	for _, list := range [][]string{n.GetInput(), n.GetOutput()} {
		for _, v := range list {
			if v == name {
				return true
			}
		}
	}
	return false
}

func (s *Source) isHeadOp(n *onnx.NodeProto) bool {
	switch n.GetOpType() {
	case "Gemm", "MatMul", "Conv":
		return len(n.GetInput()) > 1 && s.tensors[n.GetInput()[1]] != nil
	}
	return false
}

// takeHead records the head and the number of classes that its weights have.
func (s *Source) takeHead(n, bias *onnx.NodeProto) error {
	shape := s.tensors[n.GetInput()[1]].shape()
	h := head{node: n, bias: bias}
	switch n.GetOpType() {
	case "Gemm":
		if !transposed(n) {
			h.axis = 1
		}
	case "MatMul":
		h.axis = len(shape) - 1
	}
	if h.axis < 0 || h.axis >= len(shape) {
		return fmt.Errorf("its head %s has weights of shape %v", nodeName(n), shape)
	}
	s.head, s.Classes = h, shape[h.axis]
	return nil
}

// transposed reports whether a Gemm has its weights as classes × features.
func transposed(n *onnx.NodeProto) bool {
	for _, a := range n.GetAttribute() {
		if a.GetName() == "transB" {
			return a.GetI() != 0
		}
	}
	return false
}

// isHead reports whether the walk is at the head.
func (w *walker) isHead() bool { return w.s.head.node != nil && w.node == w.s.head.node }

// headShape returns the shape of the head's weights for the classes asked for;
// of other layers that in the file.
func (w *walker) headShape(file ir.Shape) ir.Shape {
	if !w.isHead() {
		return file
	}
	s := append(ir.Shape(nil), file...)
	s[w.s.head.axis] = w.c.Classes
	return s
}

// behindHead replaces the number of classes of the file in a shape that a
// Reshape behind the head names.
func (w *walker) behindHead(to []int) {
	if w.s.head.node == nil || w.s.Classes == w.c.Classes {
		return
	}
	for i := w.index - 1; i >= 0; i-- {
		if w.s.nodes[i] == w.s.head.node {
			for j, d := range to {
				if d == w.s.Classes && j == 1 {
					to[j] = w.c.Classes
				}
			}
			return
		}
	}
}

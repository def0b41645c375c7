package runtime

import (
	"fmt"
	"strings"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// Port is an input or output of a session.
type Port struct {
	Name string
	Type ElementType
	// Shape holds -1 for dimensions that are not fixed. It is nil when the
	// model does not declare the number of dimensions; Ranked tells that from
	// a scalar.
	Shape  []int64
	Ranked bool
}

// String describes the port as "images float[N,3,32,32]".
func (p Port) String() string {
	if !p.Ranked {
		return fmt.Sprintf("%s %s[…]", p.Name, p.Type)
	}
	return fmt.Sprintf("%s %s%s", p.Name, p.Type, shapeString(p.Shape))
}

func shapeString(shape []int64) string {
	dims := make([]string, len(shape))
	for i, d := range shape {
		dims[i] = "N"
		if d >= 0 {
			dims[i] = fmt.Sprint(d)
		}
	}
	return "[" + strings.Join(dims, ",") + "]"
}

// accepts reports why a tensor cannot be bound to the port.
func (p Port) accepts(t *Tensor) error {
	if t == nil || t.value == nil {
		return fmt.Errorf("%s: the tensor is missing or closed", p.Name)
	}
	if t.typ != p.Type {
		return fmt.Errorf("%s: the tensor is of type %s, the model wants %s", p.Name, t.typ, p.Type)
	}
	if !p.Ranked {
		return nil
	}
	fits := len(t.shape) == len(p.Shape)
	for i := 0; fits && i < len(p.Shape); i++ {
		fits = p.Shape[i] < 0 || p.Shape[i] == t.shape[i]
	}
	if !fits {
		return fmt.Errorf("%s: the tensor has shape %s, the model wants %s", p.Name, shapeString(t.shape), shapeString(p.Shape))
	}
	return nil
}

// ports reads the declared inputs and outputs of a model. Inputs with an
// initializer have a default and need not be fed, so they are left out.
func ports(m *onnx.ModelProto) (inputs, outputs []Port, err error) {
	g := m.GetGraph()
	given := map[string]bool{}
	for _, t := range g.GetInitializer() {
		given[t.GetName()] = true
	}
	for _, v := range g.GetInput() {
		if given[v.GetName()] {
			continue
		}
		p, err := port(v)
		if err != nil {
			return nil, nil, fmt.Errorf("input %w", err)
		}
		inputs = append(inputs, p)
	}
	for _, v := range g.GetOutput() {
		p, err := port(v)
		if err != nil {
			return nil, nil, fmt.Errorf("output %w", err)
		}
		outputs = append(outputs, p)
	}
	if len(inputs) == 0 || len(outputs) == 0 {
		return nil, nil, fmt.Errorf("the model has %d inputs and %d outputs; both are needed", len(inputs), len(outputs))
	}
	return inputs, outputs, nil
}

func port(v *onnx.ValueInfoProto) (Port, error) {
	t := v.GetType().GetTensorType()
	if t == nil {
		return Port{}, fmt.Errorf("%q is not a tensor; only tensors are supported", v.GetName())
	}
	p := Port{Name: v.GetName(), Type: ElementType(t.GetElemType()), Ranked: t.GetShape() != nil}
	for _, d := range t.GetShape().GetDim() {
		n := int64(-1)
		if v := d.GetDimValue(); v > 0 { // some exporters write 0 or −1 for a free dimension
			n = v
		}
		p.Shape = append(p.Shape, n)
	}
	return p, nil
}

// endsInSoftmax tells whether a graph's first output is made by Softmax, but
// for nodes that only choose or convert.
func endsInSoftmax(g *onnx.GraphProto) bool {
	if len(g.GetOutput()) == 0 {
		return false
	}
	maker := map[string]*onnx.NodeProto{}
	for _, n := range g.GetNode() {
		for _, out := range n.GetOutput() {
			maker[out] = n
		}
	}
	name := g.GetOutput()[0].GetName()
	for range len(g.GetNode()) { // a cycle ends the walk as well
		n := maker[name]
		switch {
		case n == nil || len(n.GetInput()) == 0:
			return false
		case n.GetOpType() == "Softmax":
			return true
		case n.GetOpType() == "TopK", n.GetOpType() == "Cast", n.GetOpType() == "Identity",
			n.GetOpType() == "QuantizeLinear", n.GetOpType() == "DequantizeLinear",
			n.GetOpType() == "Reshape", n.GetOpType() == "Squeeze", n.GetOpType() == "Flatten":
			name = n.GetInput()[0]
		default:
			return false
		}
	}
	return false
}

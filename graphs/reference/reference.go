// Package reference evaluates ir graphs in float64, in plain Go: the standard
// that every lowering is compared with. What a graph declares as float16 is
// rounded to it once it has been computed.
//
// Each operator is written once, as close to its definition as loops allow,
// with no thought of speed. Backward primitives are computed by their own
// formulas, not by differentiating anything, so that a finite difference of a
// forward operator is an independent check of them.
package reference

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/ir"
)

// Tensor is a dense tensor in row-major order; a nil shape is a scalar.
type Tensor struct {
	Shape ir.Shape
	Data  []float64
}

// Zeros returns a tensor of zeros.
func Zeros(s ir.Shape) Tensor { return Tensor{s, make([]float64, s.Size())} }

// Scalar returns a tensor without dimensions.
func Scalar(x float64) Tensor { return Tensor{nil, []float64{x}} }

// FromFloat32 widens data, which it copies, to a tensor of shape s.
func FromFloat32(s ir.Shape, data []float32) Tensor {
	t := Tensor{s, make([]float64, len(data))}
	for i, x := range data {
		t.Data[i] = float64(x)
	}
	return t
}

// Float32 rounds the elements to float32; the slice is new.
func (t Tensor) Float32() []float32 {
	out := make([]float32, len(t.Data))
	for i, x := range t.Data {
		out[i] = float32(x)
	}
	return out
}

// Clone copies the elements.
func (t Tensor) Clone() Tensor { return Tensor{t.Shape, slices.Clone(t.Data)} }

// at4 is the offset of an element of a tensor of rank 4.
func (t Tensor) at4(i, j, k, l int) int {
	return ((i*t.Shape[1]+j)*t.Shape[2]+k)*t.Shape[3] + l
}

// A Kernel computes an operator: in are its inputs, of types the operator has
// accepted; out are zeroed tensors of the output types, which it fills.
type Kernel func(op ir.Op, in, out []Tensor)

var kernels = map[string]Kernel{}

// Register sets the kernel of an operator kind, once.
func Register(kind string, k Kernel) {
	if kernels[kind] != nil {
		panic(fmt.Sprintf("reference: %s has two kernels", kind))
	}
	kernels[kind] = k
}

// Kinds lists the operator kinds that have a kernel, sorted.
func Kinds() []string {
	kinds := make([]string, 0, len(kernels))
	for k := range kernels {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	return kinds
}

// Apply evaluates one operator. Inputs are not changed; outputs are new. It
// fails if the operator has no kernel here or rejects the inputs' shapes.
func Apply(op ir.Op, in ...Tensor) ([]Tensor, error) {
	kernel := kernels[op.Kind()]
	if kernel == nil {
		return nil, fmt.Errorf("reference: operator %s has no kernel; it has %s", op.Kind(), strings.Join(Kinds(), ", "))
	}
	types := make([]ir.Type, len(in))
	for i, t := range in {
		if len(t.Data) != t.Shape.Size() {
			return nil, fmt.Errorf("reference: %s: input %d has %d elements for shape %v", op.Kind(), i, len(t.Data), t.Shape)
		}
		types[i] = ir.Type{DType: ir.Float32, Shape: t.Shape}
	}
	infer, err := op.Infer(types)
	if err != nil {
		return nil, fmt.Errorf("reference: %s: %w", op.Kind(), err)
	}
	out := make([]Tensor, len(infer))
	for i, t := range infer {
		out[i] = Zeros(t.Shape)
	}
	kernel(op, in, out)
	return out, nil
}

// Run evaluates g and returns its outputs by name. inputs holds every graph
// input by name, in the shape the graph declares.
func Run(g *ir.Graph, inputs map[string]Tensor) (map[string]Tensor, error) {
	values := make(map[*ir.Value]Tensor)
	for _, v := range g.Inputs {
		t, ok := inputs[v.Name]
		if !ok {
			return nil, fmt.Errorf("reference: graph %q: input %q is missing", g.Name, v.Name)
		}
		if !t.Shape.Equal(v.Shape) || len(t.Data) != v.Shape.Size() {
			return nil, fmt.Errorf("reference: graph %q: input %q is %v with %d elements, want %v",
				g.Name, v.Name, t.Shape, len(t.Data), v.Shape)
		}
		values[v] = rounded(t, v.DType)
	}
	for name := range inputs {
		if !slices.ContainsFunc(g.Inputs, func(v *ir.Value) bool { return v.Name == name }) {
			return nil, fmt.Errorf("reference: graph %q has no input %q", g.Name, name)
		}
	}
	get := func(v *ir.Value) (Tensor, bool) {
		if v.IsConst() {
			return rounded(FromFloat32(v.Shape, v.Data), v.DType), true
		}
		t, ok := values[v]
		return t, ok
	}
	for _, n := range g.Nodes {
		in := make([]Tensor, len(n.In))
		for i, v := range n.In {
			t, ok := get(v)
			if !ok {
				return nil, fmt.Errorf("reference: node %q reads %q, which no earlier node of graph %q computes", n.Name, v.Name, g.Name)
			}
			in[i] = t
		}
		out, err := Apply(n.Op, in...)
		if err != nil {
			return nil, fmt.Errorf("node %q: %w", n.Name, err)
		}
		if len(out) != len(n.Out) {
			return nil, fmt.Errorf("reference: node %q has %d outputs, its operator %d", n.Name, len(n.Out), len(out))
		}
		for i, v := range n.Out {
			values[v] = rounded(out[i], v.DType)
		}
	}
	result := make(map[string]Tensor, len(g.Outputs))
	for _, o := range g.Outputs {
		t, ok := get(o.Value)
		if !ok {
			return nil, fmt.Errorf("reference: output %q of graph %q is not computed", o.Name, g.Name)
		}
		result[o.Name] = t
	}
	return result, nil
}

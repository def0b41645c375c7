package deploy

import (
	"fmt"
	"math"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// Range is the span of values that an activation is quantised over.
type Range struct{ Low, High float32 }

// QuantiseOptions say what stays float32 and how weights are rounded.
type QuantiseOptions struct {
	// KeepFirst and KeepLast leave the first and the last convolution or
	// product, whose rounding often costs the most accuracy, in float32.
	KeepFirst, KeepLast bool
	// FullRange uses all 8 bits of the weights instead of 7, which is a little
	// more exact where the processor has 8-bit dot products, and wrong where it
	// has none: on x86 with AVX2 or AVX-512 but no VNNI, ONNX Runtime adds two
	// products of uint8 by int8 in 16 bits that saturate at ±32767, and 2·255·127
	// is above that. There such a model needs the session option
	// session.x64quantprecision = 1, which takes slower kernels.
	FullRange bool
}

// Quantised says what Quantise did.
type Quantised struct {
	// Weighted counts the convolutions and products in int8, Float those that
	// stay in float32.
	Weighted, Float int
}

// Quantise makes the convolutions and matrix products of a folded float32 model
// compute in 8 bits, and with them the additions, poolings and
// rearrangements between them. The model is written in the QDQ format
// (QuantizeLinear and DequantizeLinear around float32 operators), which every
// runtime executes, and which ONNX Runtime replaces by its integer kernels when
// it loads the file.
//
// Weights become int8, symmetric, of 7 bits unless the options want 8, with a
// scale for each output channel; biases int32; activations uint8 with a scale and a zero point for the whole tensor,
// from ranges, which must hold every name that Activations lists.
func Quantise(m *onnx.ModelProto, ranges map[string]Range, o QuantiseOptions) (*onnx.ModelProto, Quantised, error) {
	q, err := newQuantiser(m, o)
	if err != nil {
		return nil, Quantised{}, fmt.Errorf("quantise: %w", err)
	}
	q.ranges = ranges
	for _, n := range q.plan {
		if err := q.rewrite(n); err != nil {
			return nil, Quantised{}, fmt.Errorf("quantise: node %q: %w", n.GetName(), err)
		}
	}
	q.graph.Node = q.out
	return q.finish(), q.done, nil
}

// Activations lists the values of the model that Quantise needs ranges of.
func Activations(m *onnx.ModelProto, o QuantiseOptions) ([]string, error) {
	q, err := newQuantiser(m, o)
	if err != nil {
		return nil, fmt.Errorf("quantise: %w", err)
	}
	var names []string
	seen := map[string]bool{}
	for _, n := range q.plan {
		if q.role[n] != integer {
			continue
		}
		for _, name := range append(q.operands(n), q.result(n)) {
			if name = q.origin(name); name != "" && !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// quantiser rewrites one model.
type quantiser struct {
	*edit
	plan []*onnx.NodeProto // the float model's nodes, in order
	role map[*onnx.NodeProto]role
	// merged is the activation joined to the node before it, joined that node.
	merged, joined map[*onnx.NodeProto]*onnx.NodeProto
	ranges         map[string]Range
	out            []*onnx.NodeProto
	// stored maps a value to the uint8 tensor that holds it, back to the name
	// of its dequantised copy.
	stored, back map[string]string
	params       map[string]parameters // of stored values
	weightTop    int                   // the largest weight
	done         Quantised
}

// parameters are the names of a tensor's scale and zero point, and the scale.
type parameters struct {
	scale, zero string
	value       float32
}

// role says how a node takes part.
type role int

const (
	// float nodes compute in float32.
	float role = iota
	// integer nodes get quantised inputs and a quantised result.
	integer
	// moving nodes rearrange values and work on 8 bits as on any others.
	moving
)

func newQuantiser(m *onnx.ModelProto, o QuantiseOptions) (*quantiser, error) {
	e, err := begin(m)
	if err != nil {
		return nil, err
	}
	if err := e.raise(); err != nil {
		return nil, err
	}
	for _, n := range e.graph.Node {
		if n.GetOpType() == "QuantizeLinear" || n.GetOpType() == "DequantizeLinear" {
			return nil, fmt.Errorf("the model is quantised already (node %q)", n.GetName())
		}
	}
	e.normsToConvolutions()
	q := &quantiser{edit: e, role: map[*onnx.NodeProto]role{}, merged: map[*onnx.NodeProto]*onnx.NodeProto{}, joined: map[*onnx.NodeProto]*onnx.NodeProto{},
		stored: map[string]string{}, back: map[string]string{}, params: map[string]parameters{}, weightTop: 63} // 2·255·63 fits in 16 bits
	if o.FullRange {
		q.weightTop = 127
	}
	q.plan = append(q.plan, e.graph.Node...)
	q.assign(o)
	return q, nil
}

// normsToConvolutions writes batch norms that could not be folded as depthwise
// 1×1 convolutions, which have integer kernels.
func (e *edit) normsToConvolutions() {
	for _, n := range e.graph.Node {
		if !standard(n, "BatchNormalization") || len(n.Input) != 5 || len(n.Output) != 1 || !e.image(n.Input[0]) {
			continue
		}
		c := len(e.constantOf(n.Input[1]))
		var v [4][]float32
		for i := range v {
			if v[i] = e.constantOf(n.Input[1+i]); len(v[i]) != c || c == 0 {
				c = 0
				break
			}
		}
		if c == 0 {
			continue
		}
		eps := float64(attrFloat(n, "epsilon", 1e-5))
		w, b := make([]float32, c), make([]float32, c)
		for i := range w {
			a := float64(v[0][i]) / math.Sqrt(float64(v[3][i])+eps)
			w[i], b[i] = float32(a), float32(float64(v[1][i])-float64(v[2][i])*a)
		}
		n.Input = []string{n.Input[0],
			e.constant(onnx.Floats(n.Output[0]+"/scale", []int64{int64(c), 1, 1, 1}, w)),
			e.constant(onnx.Floats(n.Output[0]+"/shift", []int64{int64(c)}, b))}
		n.OpType = "Conv"
		n.Attribute = []*onnx.AttributeProto{onnx.AttrInt("group", int64(c)), onnx.AttrInts("kernel_shape", 1, 1)}
	}
	e.index()
}

// constantOf returns a float initializer's elements, or nil.
func (e *edit) constantOf(name string) []float32 {
	if !e.float(name) {
		return nil
	}
	v, err := floats(e.constants[name])
	if err != nil {
		return nil
	}
	return v
}

// image tells whether a value surely is N×C×H×W: computed from a convolution or
// a pooling by operators that keep the shape.
func (e *edit) image(name string) bool {
	for range len(e.graph.Node) {
		p := e.producer[name]
		switch {
		case p == nil:
			for _, v := range e.graph.Input {
				if v.GetName() == name {
					return len(v.GetType().GetTensorType().GetShape().GetDim()) == 4
				}
			}
			return false
		case standard(p, "Conv"):
			t := e.constants[input(p, 1)]
			return t != nil && len(t.Dims) == 4
		case standard(p, "Relu"), standard(p, "Clip"), standard(p, "Add"), standard(p, "MaxPool"), standard(p, "AveragePool"),
			standard(p, "BatchNormalization"), standard(p, "GlobalAveragePool"):
			name = p.Input[0]
		default:
			return false
		}
	}
	return false
}

// assign gives every node its role.
func (q *quantiser) assign(o QuantiseOptions) {
	var weighted []*onnx.NodeProto
	for _, n := range q.plan {
		if q.hasWeights(n) {
			weighted = append(weighted, n)
		}
	}
	for i, n := range weighted {
		if i == 0 && o.KeepFirst || i == len(weighted)-1 && o.KeepLast {
			q.done.Float++
			continue
		}
		q.role[n] = integer
		q.done.Weighted++
	}
	outputs := map[string]bool{}
	for _, v := range q.graph.Output {
		outputs[v.GetName()] = true
	}
	// An activation that only clips joins the node whose result it clips: its
	// range does the clipping.
	for _, n := range q.plan {
		if !standard(n, "Relu") && !standard(n, "Clip") {
			continue
		}
		p := q.producer[n.Input[0]]
		if p != nil && q.readers[n.Input[0]] == 1 && (q.role[p] == integer || several(p)) {
			q.merged[p], q.joined[n] = n, p
		}
	}
	// What lies between integer nodes joins them if its inputs are at hand in
	// 8 bits.
	eight := map[string]bool{}
	for _, n := range q.plan {
		switch {
		case q.role[n] == integer:
		case q.combines(n) && all(eight, q.operands(n)):
			q.role[n] = integer
		case q.moves(n) && eight[n.Input[0]]:
			q.role[n] = moving
		default:
			continue
		}
		eight[q.result(n)] = true
	}
	// Results that leave the graph stay float32.
	for changed := true; changed; {
		changed = false
		for _, n := range q.plan {
			if q.role[n] != float && outputs[q.result(n)] && !q.hasWeights(n) {
				q.role[n] = float
				changed = true
			}
		}
	}
}

// hasWeights tells whether a node is a convolution or product of an activation
// with constant float32 weights.
func (q *quantiser) hasWeights(n *onnx.NodeProto) bool {
	w := q.constants[input(n, 1)]
	if w == nil || !q.float(input(n, 1)) || input(n, 2) != "" && !q.float(input(n, 2)) || q.constants[n.Input[0]] != nil {
		return false
	}
	switch {
	case standard(n, "Conv"):
		return len(w.Dims) >= 3
	case standard(n, "Gemm"):
		plain := attrFloat(n, "alpha", 1) == 1 && attrFloat(n, "beta", 1) == 1 && attrInt(n, "transA", 0) == 0
		if b := q.constants[input(n, 2)]; b != nil && (len(b.Dims) != 1 || b.Dims[0] != w.Dims[gemmOut(n)]) {
			return false
		}
		return len(w.Dims) == 2 && plain
	}
	return false
}

// gemmOut is the dimension of a Gemm's weights that counts its outputs.
func gemmOut(n *onnx.NodeProto) int {
	if attrInt(n, "transB", 0) != 0 {
		return 0
	}
	return 1
}

// moves tells whether a node only rearranges its first input.
func (q *quantiser) moves(n *onnx.NodeProto) bool {
	switch {
	case standard(n, "MaxPool"):
		return len(n.Output) == 1
	case standard(n, "Reshape"), standard(n, "Flatten"), standard(n, "Transpose"), standard(n, "Squeeze"),
		standard(n, "Unsqueeze"), standard(n, "Slice"), standard(n, "SpaceToDepth"), standard(n, "DepthToSpace"):
		return true
	case standard(n, "Pad"):
		a := attribute(n, "mode")
		return (a == nil || string(a.GetS()) == "constant") && input(n, 2) == ""
	}
	return false
}

// combines tells whether a node without weights has an integer kernel.
func (q *quantiser) combines(n *onnx.NodeProto) bool {
	return several(n) || standard(n, "GlobalAveragePool") || standard(n, "AveragePool")
}

// several tells whether all of a node's inputs are activations.
func several(n *onnx.NodeProto) bool {
	return standard(n, "Add") || standard(n, "Mul") || standard(n, "Concat")
}

// operands are the activations that a node reads.
func (q *quantiser) operands(n *onnx.NodeProto) []string {
	if several(n) {
		return n.Input
	}
	return n.Input[:1]
}

func all(set map[string]bool, names []string) bool {
	for _, n := range names {
		if !set[n] {
			return false
		}
	}
	return true
}

// result is the value that a node, with the activation joined to it, computes.
func (q *quantiser) result(n *onnx.NodeProto) string {
	if a := q.merged[n]; a != nil && q.role[n] == integer {
		return a.Output[0]
	}
	return n.Output[0]
}

// origin follows a value back through moving nodes to the one that decides its
// range; empty for a result that stays float32.
func (q *quantiser) origin(name string) string {
	for {
		p := q.producer[name]
		if p == nil || q.role[p] != moving {
			return name
		}
		name = p.Input[0]
	}
}

package deploy

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// rewrite emits a node of the float model in its new form.
func (q *quantiser) rewrite(n *onnx.NodeProto) error {
	if p := q.joined[n]; p != nil && q.role[p] == integer {
		return nil // emitted with p
	}
	switch q.role[n] {
	case moving:
		return q.move(n)
	case integer:
		return q.compute(n)
	}
	for i, name := range n.Input {
		n.Input[i] = q.real(name)
	}
	q.out = append(q.out, n)
	return nil
}

// move has a rearranging node work on the 8 bits themselves.
func (q *quantiser) move(n *onnx.NodeProto) error {
	from := n.Input[0]
	bits, err := q.bits(from)
	if err != nil {
		return err
	}
	value := n.Output[0]
	p := q.params[from]
	n.Input[0] = bits
	n.Output[0] = q.fresh(value + "/uint8")
	if standard(n, "Pad") {
		for len(n.Input) < 3 {
			n.Input = append(n.Input, "")
		}
		n.Input[2] = p.zero // what 0 is in 8 bits
	}
	q.out = append(q.out, n)
	q.stored[value], q.params[value] = n.Output[0], p
	return nil
}

// compute emits an operator between dequantised inputs and a quantised result.
func (q *quantiser) compute(n *onnx.NodeProto) error {
	operands := slices.Clone(q.operands(n)) // n changes
	for i, name := range operands {
		if _, err := q.bits(name); err != nil {
			return err
		}
		n.Input[i] = q.dequantised(name)
	}
	if q.hasWeightsNow(n) {
		if err := q.weights(n, q.params[operands[0]]); err != nil {
			return err
		}
	}
	q.out = append(q.out, n)
	if a := q.merged[n]; a != nil {
		q.out = append(q.out, a)
	}
	value := q.result(n)
	for _, v := range q.graph.Output {
		if v.GetName() == value {
			return nil // the model's result stays float32
		}
	}
	_, err := q.bits(value)
	return err
}

// hasWeightsNow is hasWeights for a node whose activation is rewritten already.
func (q *quantiser) hasWeightsNow(n *onnx.NodeProto) bool {
	return (standard(n, "Conv") || standard(n, "Gemm")) && q.float(input(n, 1))
}

// bits returns the uint8 tensor that holds a value, quantising it if none does.
func (q *quantiser) bits(value string) (string, error) {
	if s := q.stored[value]; s != "" {
		return s, nil
	}
	r, ok := q.ranges[value]
	if !ok {
		return "", fmt.Errorf("no range was measured of %q", value)
	}
	scale, zero, err := affine(r)
	if err != nil {
		return "", fmt.Errorf("value %q: %w", value, err)
	}
	p := parameters{value: scale,
		scale: q.constant(onnx.Floats(value+"/scale", nil, []float32{scale})),
		zero:  q.constant(&onnx.TensorProto{Name: value + "/zero", DataType: int32(onnx.TensorProto_UINT8), RawData: []byte{zero}})}
	name := q.fresh(value + "/uint8")
	q.out = append(q.out, node("QuantizeLinear", []string{value, p.scale, p.zero}, []string{name}))
	q.stored[value], q.params[value] = name, p
	return name, nil
}

// dequantised returns a float32 copy of a value's 8 bits.
func (q *quantiser) dequantised(value string) string {
	if q.back[value] == "" {
		p := q.params[value]
		q.back[value] = q.fresh(value + "/float")
		q.out = append(q.out, node("DequantizeLinear", []string{q.stored[value], p.scale, p.zero}, []string{q.back[value]}))
	}
	return q.back[value]
}

// real returns a value in float32: as it is, or, where only its 8 bits exist,
// dequantised.
func (q *quantiser) real(value string) string {
	if q.stored[value] == "" {
		return value
	}
	return q.dequantised(value)
}

// affine returns scale and zero point of uint8 over a range widened to hold 0,
// which paddings need exactly.
func affine(r Range) (scale float32, zero uint8, err error) {
	low, high := math.Min(0, float64(r.Low)), math.Max(0, float64(r.High))
	if math.IsNaN(low+high) || math.IsInf(high-low, 0) {
		return 0, 0, fmt.Errorf("its range %g to %g is not finite", r.Low, r.High)
	}
	s := float32((high - low) / 255)
	if s < math.SmallestNonzeroFloat32*(1<<23) { // the smallest normal number
		return 1, 0, nil // it is always 0
	}
	return s, uint8(math.RoundToEven(-low / float64(s))), nil
}

// weights stores the weights of a node as int8 and its bias as int32.
func (q *quantiser) weights(n *onnx.NodeProto, in parameters) error {
	t := q.constants[n.Input[1]]
	v, err := floats(t)
	if err != nil {
		return err
	}
	axis := 0
	if standard(n, "Gemm") {
		axis = gemmOut(n)
	}
	channels := int(t.Dims[axis])
	per := 1 // consecutive elements of one channel
	for _, d := range t.Dims[axis+1:] {
		per *= int(d)
	}
	largest := make([]float64, channels)
	for i, x := range v {
		c := i / per % channels
		largest[c] = math.Max(largest[c], math.Abs(float64(x)))
	}
	scales, raw := make([]float32, channels), make([]byte, len(v))
	var bias []float32
	if name := input(n, 2); name != "" {
		if bias, err = floats(q.constants[name]); err != nil {
			return err
		}
	}
	top := float64(q.weightTop)
	for c := range scales {
		scales[c] = float32(largest[c] / top)
		// A bias far above the weights would leave int32: widen the scale.
		if bias != nil {
			least := math.Abs(float64(bias[c])) / float64(in.value) / (1 << 30)
			scales[c] = float32(math.Max(float64(scales[c]), least))
		}
		if !(scales[c] > 1e-30) {
			scales[c] = 1 // all its weights are 0
		}
	}
	for i, x := range v {
		w := math.RoundToEven(float64(x) / float64(scales[i/per%channels]))
		raw[i] = byte(int8(math.Max(-top, math.Min(top, w))))
	}
	base := t.GetName()
	name := q.constant(&onnx.TensorProto{Name: base + "/int8", Dims: t.Dims, DataType: int32(onnx.TensorProto_INT8), RawData: raw})
	scale := q.constant(onnx.Floats(base+"/scale", []int64{int64(channels)}, scales))
	zero := q.constant(&onnx.TensorProto{Name: base + "/zero", Dims: []int64{int64(channels)}, DataType: int32(onnx.TensorProto_INT8), RawData: make([]byte, channels)})
	n.Input[1] = q.fresh(base + "/float")
	q.out = append(q.out, node("DequantizeLinear", []string{name, scale, zero}, []string{n.Input[1]}, onnx.AttrInt("axis", int64(axis))))
	if bias == nil {
		return nil
	}
	base = n.Input[2]
	ints, raws := make([]float32, channels), make([]byte, 4*channels)
	for c, b := range bias {
		ints[c] = in.value * scales[c]
		w := math.RoundToEven(float64(b) / float64(ints[c]))
		binary.LittleEndian.PutUint32(raws[4*c:], uint32(int32(math.Max(math.MinInt32, math.Min(math.MaxInt32, w)))))
	}
	n.Input[2] = q.fresh(base + "/float")
	q.out = append(q.out, node("DequantizeLinear", []string{
		q.constant(&onnx.TensorProto{Name: base + "/int32", Dims: []int64{int64(channels)}, DataType: int32(onnx.TensorProto_INT32), RawData: raws}),
		q.constant(onnx.Floats(base+"/scale", []int64{int64(channels)}, ints)),
		q.constant(&onnx.TensorProto{Name: base + "/zero", Dims: []int64{int64(channels)}, DataType: int32(onnx.TensorProto_INT32), RawData: make([]byte, 4*channels)}),
	}, []string{n.Input[2]}, onnx.AttrInt("axis", 0)))
	return nil
}

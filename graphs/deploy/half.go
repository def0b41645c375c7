package deploy

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/ortrain/ortrain/graphs/half"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Float16 makes a float32 model compute in float16: weights and every value
// between the nodes. With ports, inputs and outputs become float16 as well;
// otherwise they stay float32 and are cast. A provider without a float16 kernel
// for an operator, such as the CPU's for most, casts around it by itself: there
// the model is half as large, not faster.
//
// It fails if a weight is beyond float16's range (65504).
func Float16(m *onnx.ModelProto, ports bool) (*onnx.ModelProto, error) {
	e, err := begin(m)
	if err != nil {
		return nil, fmt.Errorf("float16: %w", err)
	}
	if err := e.halve(ports); err != nil {
		return nil, fmt.Errorf("float16: %w", err)
	}
	return e.finish(), nil
}

// HalfWeights stores the weights of a model as float16 and casts them back
// when it is loaded: the file is half as large, all computing stays float32.
func HalfWeights(m *onnx.ModelProto) (*onnx.ModelProto, error) {
	e, err := begin(m)
	if err != nil {
		return nil, fmt.Errorf("float16 weights: %w", err)
	}
	var casts []*onnx.NodeProto
	for _, t := range e.graph.Initializer {
		if t.GetDataType() != int32(onnx.TensorProto_FLOAT) || len(t.Dims) < 2 {
			continue // biases and scales are few, and their rounding costs more
		}
		name := t.GetName()
		if err := toHalf(t); err != nil {
			return nil, fmt.Errorf("float16 weights: %w", err)
		}
		t.Name = e.fresh(name + "/half")
		casts = append(casts, node("Cast", []string{t.Name}, []string{name}, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT))))
	}
	e.graph.Node = append(casts, e.graph.Node...)
	return e.finish(), nil
}

// keepFloat lists the inputs that stay float32 by the operator's definition.
var keepFloat = map[string][]int{"Resize": {1, 2}, "Upsample": {1}, "QuantizeLinear": {1}, "DequantizeLinear": {1}}

func (e *edit) halve(ports bool) error {
	fixed := map[string]bool{}
	for _, n := range e.graph.Node {
		if d := n.GetDomain(); d != "" && d != "ai.onnx" {
			return fmt.Errorf("node %q: operator %s of domain %s is not known to take float16", n.GetName(), n.GetOpType(), d)
		}
		for _, i := range keepFloat[n.GetOpType()] {
			fixed[input(n, i)] = true
		}
		for _, a := range n.Attribute {
			if t := a.GetT(); t != nil && t.GetDataType() == int32(onnx.TensorProto_FLOAT) {
				if err := toHalf(t); err != nil {
					return fmt.Errorf("node %q: %w", n.GetName(), err)
				}
			}
			if standard(n, "Cast") && a.GetName() == "to" && a.GetI() == int64(onnx.TensorProto_FLOAT) {
				a.I = int64(onnx.TensorProto_FLOAT16)
			}
		}
	}
	for _, t := range e.graph.Initializer {
		if t.GetDataType() == int32(onnx.TensorProto_FLOAT) && !fixed[t.GetName()] {
			if err := toHalf(t); err != nil {
				return err
			}
		}
	}
	if ports {
		for _, v := range append(e.graph.Input, e.graph.Output...) {
			if t := v.GetType().GetTensorType(); t.GetElemType() == int32(onnx.TensorProto_FLOAT) {
				t.ElemType = int32(onnx.TensorProto_FLOAT16)
			}
		}
		return nil
	}
	var casts []*onnx.NodeProto
	for _, v := range e.graph.Input {
		if v.GetType().GetTensorType().GetElemType() != int32(onnx.TensorProto_FLOAT) {
			continue
		}
		half := e.fresh(v.GetName() + "/half")
		e.replaceReads(v.GetName(), half)
		casts = append(casts, node("Cast", []string{v.GetName()}, []string{half}, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT16))))
	}
	e.graph.Node = append(casts, e.graph.Node...)
	for _, v := range e.graph.Output {
		name := v.GetName()
		p := e.producer[name]
		if p == nil || v.GetType().GetTensorType().GetElemType() != int32(onnx.TensorProto_FLOAT) {
			continue
		}
		half := e.fresh(name + "/half")
		for i, o := range p.Output {
			if o == name {
				p.Output[i] = half
			}
		}
		e.replaceReads(name, half)
		e.graph.Node = append(e.graph.Node, node("Cast", []string{half}, []string{name}, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT))))
	}
	return nil
}

// toHalf rounds a float32 tensor to float16 in place.
func toHalf(t *onnx.TensorProto) error {
	v, err := floats(t)
	if err != nil {
		return err
	}
	raw := make([]byte, 2*len(v))
	for i, x := range v {
		h := half.Bits(x)
		if h&0x7fff == 0x7c00 && !math.IsInf(float64(x), 0) {
			return fmt.Errorf("tensor %q holds %g, which float16 cannot (its largest number is 65504)", t.GetName(), x)
		}
		binary.LittleEndian.PutUint16(raw[2*i:], h)
	}
	t.DataType, t.RawData, t.FloatData = int32(onnx.TensorProto_FLOAT16), raw, nil
	return nil
}

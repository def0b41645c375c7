package job

import (
	"encoding/binary"
	"fmt"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// Cost counts the work of one run of a graph.
type Cost struct {
	// FLOPs are the multiply-adds of convolutions and matrix products, the
	// convention of the ResNet papers, at the static batch size, or for one
	// image where the batch is open.
	FLOPs int64 `json:"flops"`
	// Unknown names the first operator whose share could not be told because
	// its shapes are not known before the model runs; empty if all could.
	Unknown string `json:"unknown,omitempty"`
}

// cost derives the shapes of a graph's values in one pass, as far as they
// follow from the inputs and constants, and counts on the way.
func cost(g *onnx.GraphProto) Cost {
	s := shapes{dims: map[string][]int64{}, ints: map[string][]int64{}}
	for _, v := range g.GetValueInfo() {
		if d, ok := imageDims(v); ok {
			s.dims[v.GetName()] = d
		}
	}
	for _, v := range g.GetInput() {
		if d, ok := imageDims(v); ok {
			s.dims[v.GetName()] = d
		}
	}
	for _, t := range g.GetInitializer() {
		s.constant(t.GetName(), t)
	}
	var c Cost
	for _, n := range g.GetNode() {
		if len(n.GetOutput()) == 0 {
			continue // malformed; the structure check says so
		}
		s.infer(n)
		flops, known := s.flops(n)
		c.FLOPs += flops
		if !known && c.Unknown == "" {
			c.Unknown = fmt.Sprintf("%s %q", n.GetOpType(), n.GetOutput()[0])
		}
	}
	return c
}

// staticDims returns the shape of a value if all of it is given.
func staticDims(v *onnx.ValueInfoProto) ([]int64, bool) {
	shape := v.GetType().GetTensorType().GetShape()
	if shape == nil {
		return nil, false
	}
	dims := []int64{}
	for _, d := range shape.GetDim() {
		x, ok := d.GetValue().(*onnx.TensorShapeProto_Dimension_DimValue)
		if !ok || x.DimValue < 0 {
			return nil, false
		}
		dims = append(dims, x.DimValue)
	}
	return dims, true
}

// imageDims is staticDims with an open batch dimension, the first, taken as 1.
func imageDims(v *onnx.ValueInfoProto) ([]int64, bool) {
	shape := v.GetType().GetTensorType().GetShape()
	if shape == nil {
		return nil, false
	}
	dims := []int64{}
	for i, d := range shape.GetDim() {
		x, ok := d.GetValue().(*onnx.TensorShapeProto_Dimension_DimValue)
		switch {
		case ok && x.DimValue > 0:
			dims = append(dims, x.DimValue)
		case i == 0:
			dims = append(dims, 1)
		default:
			return nil, false
		}
	}
	return dims, true
}

// size is the number of elements; a hostile shape must not overflow it.
func size(dims []int64) int64 {
	n := int64(1)
	for _, d := range dims {
		if d <= 0 {
			return 0
		}
		if n > 1<<50/d {
			return 1 << 50
		}
		n *= d
	}
	return n
}

// shapes holds what is known of a graph's values: their dimensions, and the
// content of small integer constants.
type shapes struct {
	dims map[string][]int64
	ints map[string][]int64
}

func (s *shapes) constant(name string, t *onnx.TensorProto) {
	s.dims[name] = append([]int64{}, t.GetDims()...) // a scalar is known, not nil
	if size(t.GetDims()) > 4096 {
		return
	}
	var values []int64
	raw := t.GetRawData()
	switch onnx.TensorProto_DataType(t.GetDataType()) {
	case onnx.TensorProto_INT64:
		values = append(values, t.GetInt64Data()...)
		for ; len(raw) >= 8; raw = raw[8:] {
			values = append(values, int64(binary.LittleEndian.Uint64(raw)))
		}
	case onnx.TensorProto_INT32:
		for _, v := range t.GetInt32Data() {
			values = append(values, int64(v))
		}
		for ; len(raw) >= 4; raw = raw[4:] {
			values = append(values, int64(int32(binary.LittleEndian.Uint32(raw))))
		}
	default:
		return
	}
	s.ints[name] = values
}

// flops counts one node, which has an output; false means that its shapes are not known.
func (s *shapes) flops(n *onnx.NodeProto) (int64, bool) {
	at := func(i int) []int64 {
		if i >= len(n.GetInput()) {
			return nil
		}
		return s.dims[n.GetInput()[i]]
	}
	y := s.dims[n.GetOutput()[0]]
	switch n.GetOpType() {
	case "Conv", "FusedConv":
		w := at(1)
		if len(w) < 2 || y == nil {
			return 0, false
		}
		return size(y) * size(w[1:]), true
	case "ConvTranspose":
		x, w := at(0), at(1)
		if x == nil || len(w) < 2 {
			return 0, false
		}
		return size(x) * size(w[1:]), true
	case "Gemm", "MatMul", "FusedMatMul":
		a := at(0)
		if len(a) == 0 || y == nil {
			return 0, false
		}
		k := a[len(a)-1]
		if attrInt(n, "transA", 0) != 0 && len(a) > 1 {
			k = a[len(a)-2]
		}
		return size(y) * k, true
	}
	return 0, true
}

func attribute(n *onnx.NodeProto, name string) *onnx.AttributeProto {
	for _, a := range n.GetAttribute() {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

func attrInt(n *onnx.NodeProto, name string, otherwise int64) int64 {
	if a := attribute(n, name); a != nil {
		return a.GetI()
	}
	return otherwise
}

// attrInts returns a list of integers, or want copies of otherwise.
func attrInts(n *onnx.NodeProto, name string, want int, otherwise int64) []int64 {
	if a := attribute(n, name); a != nil && len(a.GetInts()) == want {
		return a.GetInts()
	}
	list := make([]int64, want)
	for i := range list {
		list[i] = otherwise
	}
	return list
}

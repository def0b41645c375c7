// Package onnx holds the ONNX interchange format: the messages generated from
// schema/onnx.proto, constructors for the parts this project emits, and the
// reading and writing of whole files.
package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"

	"google.golang.org/protobuf/proto"

	"github.com/ortrain/ortrain/graphs/half"
)

// MaxFile is the largest model that fits one protobuf message: 2 GiB.
const MaxFile = 1<<31 - 1

// Marshal encodes a model; equal models give equal bytes.
func Marshal(m *ModelProto) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("onnx: encode model: %w", err)
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("onnx: model of %d bytes exceeds the 2 GiB of one ONNX file", len(b))
	}
	return b, nil
}

// Unmarshal decodes a model and checks that it holds a graph.
func Unmarshal(b []byte) (*ModelProto, error) {
	if len(b) == 0 {
		return nil, errors.New("onnx: the file is empty")
	}
	m := new(ModelProto)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("onnx: not an ONNX model or cut short: %w", err)
	}
	if m.GetGraph() == nil || m.GetIrVersion() == 0 {
		return nil, errors.New("onnx: not an ONNX model: it holds no graph or no IR version")
	}
	return m, nil
}

// ReadFile reads and decodes a model file.
func ReadFile(path string) (*ModelProto, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	if st.IsDir() {
		return nil, fmt.Errorf("onnx: %s is a folder, not a model file", path)
	}
	if st.Size() > MaxFile {
		return nil, fmt.Errorf("onnx: %s has %d bytes; one ONNX file holds at most 2 GiB", path, st.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	m, err := Unmarshal(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Floats makes a float32 tensor; len(data) must be the product of dims.
// The data are copied, little-endian, as the format wants.
func Floats(name string, dims []int64, data []float32) *TensorProto {
	raw := make([]byte, 4*len(data))
	for i, v := range data {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	return &TensorProto{Name: name, Dims: dims, DataType: int32(TensorProto_FLOAT), RawData: raw}
}

// Halves makes a float16 tensor of data, rounded; len(data) must be the product
// of dims.
func Halves(name string, dims []int64, data []float32) *TensorProto {
	raw := make([]byte, 2*len(data))
	for i, v := range data {
		binary.LittleEndian.PutUint16(raw[2*i:], half.Bits(v))
	}
	return &TensorProto{Name: name, Dims: dims, DataType: int32(TensorProto_FLOAT16), RawData: raw}
}

// Ints makes an int64 tensor; len(data) must be the product of dims.
func Ints(name string, dims []int64, data []int64) *TensorProto {
	raw := make([]byte, 8*len(data))
	for i, v := range data {
		binary.LittleEndian.PutUint64(raw[8*i:], uint64(v))
	}
	return &TensorProto{Name: name, Dims: dims, DataType: int32(TensorProto_INT64), RawData: raw}
}

// TensorInfo declares a tensor. A dimension < 0 becomes the symbol "N".
func TensorInfo(name string, elem TensorProto_DataType, dims []int64) *ValueInfoProto {
	shape := new(TensorShapeProto)
	for _, d := range dims {
		dim := new(TensorShapeProto_Dimension)
		if d < 0 {
			dim.Value = &TensorShapeProto_Dimension_DimParam{DimParam: "N"}
		} else {
			dim.Value = &TensorShapeProto_Dimension_DimValue{DimValue: d}
		}
		shape.Dim = append(shape.Dim, dim)
	}
	return &ValueInfoProto{Name: name, Type: &TypeProto{Value: &TypeProto_TensorType{
		TensorType: &TypeProto_Tensor{ElemType: int32(elem), Shape: shape}}}}
}

// AttrInt, AttrFloat, AttrInts, AttrFloats, AttrString and AttrTensor make attributes.
func AttrInt(name string, v int64) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_INT, I: v}
}

func AttrFloat(name string, v float32) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_FLOAT, F: v}
}

func AttrInts(name string, v ...int64) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_INTS, Ints: v}
}

func AttrFloats(name string, v ...float32) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_FLOATS, Floats: v}
}

func AttrString(name, v string) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_STRING, S: []byte(v)}
}

func AttrTensor(name string, v *TensorProto) *AttributeProto {
	return &AttributeProto{Name: name, Type: AttributeProto_TENSOR, T: v}
}

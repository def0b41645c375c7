package deploy

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// floats returns the elements of a float32 tensor, however they are stored, in
// memory of the caller's own.
func floats(t *onnx.TensorProto) ([]float32, error) {
	if t.GetDataType() != int32(onnx.TensorProto_FLOAT) {
		return nil, fmt.Errorf("tensor %q is of type %s, not float", t.GetName(), onnx.TensorProto_DataType(t.GetDataType()))
	}
	if t.GetDataLocation() == onnx.TensorProto_EXTERNAL {
		return nil, fmt.Errorf("tensor %q is stored in another file; save the model as one file first", t.GetName())
	}
	n := elements(t.Dims)
	if len(t.FloatData) > 0 {
		if len(t.FloatData) != n {
			return nil, fmt.Errorf("tensor %q of %v holds %d elements", t.GetName(), t.Dims, len(t.FloatData))
		}
		return append([]float32(nil), t.FloatData...), nil
	}
	if len(t.RawData) != 4*n {
		return nil, fmt.Errorf("tensor %q of %v holds %d bytes", t.GetName(), t.Dims, len(t.RawData))
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.RawData[4*i:]))
	}
	return out, nil
}

func elements(dims []int64) int {
	n := 1
	for _, d := range dims {
		n *= int(d)
	}
	return n
}

// float tells whether a name is a float32 initializer.
func (e *edit) float(name string) bool {
	t := e.constants[name]
	return t != nil && t.GetDataType() == int32(onnx.TensorProto_FLOAT)
}

// vector returns the elements of a float32 initializer of n elements, whatever
// its shape; nil without an error if there is none of that size.
func (e *edit) vector(name string, n int) ([]float32, error) {
	t := e.constants[name]
	if !e.float(name) || elements(t.Dims) != n {
		return nil, nil
	}
	return floats(t)
}

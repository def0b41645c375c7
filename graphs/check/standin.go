package check

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// foreign maps the element types that onnx-go's tensor library cannot hold to
// the bytes of an element.
var foreign = map[onnx.TensorProto_DataType]int64{
	onnx.TensorProto_FLOAT16: 2, onnx.TensorProto_BFLOAT16: 2, onnx.TensorProto_INT8: 1, onnx.TensorProto_UINT8: 1,
}

// standIns returns the model with int32 tensors of the same shape in place of
// the initializers of types that onnx-go cannot hold, and of the ports of such
// types, which would keep it from looking at anything else; and one element in
// place of none, such as the shape of a scalar. The content of those must fit
// their shape.
func standIns(b []byte) ([]byte, error) {
	m, err := onnx.Unmarshal(b)
	if err != nil {
		return b, nil // for onnx-go to judge
	}
	replaced := false
	for _, t := range m.GetGraph().GetInitializer() {
		size, ok := foreign[onnx.TensorProto_DataType(t.GetDataType())]
		if empty(t) {
			t.Dims, t.DataType, t.Int32Data, replaced = []int64{1}, int32(onnx.TensorProto_INT32), []int32{0}, true
			continue
		}
		if !ok {
			continue
		}
		replaced = true
		n := int64(1)
		for _, d := range t.GetDims() {
			if d < 0 || d > 0 && n > onnx.MaxFile/d {
				return nil, fmt.Errorf("check: tensor %q has dimensions %v", t.GetName(), t.GetDims())
			}
			n *= d
		}
		if int64(len(t.GetRawData())) != n*size && int64(len(t.GetInt32Data())) != n {
			return nil, fmt.Errorf("check: tensor %q of %v %v holds %d bytes", t.GetName(),
				onnx.TensorProto_DataType(t.GetDataType()), t.GetDims(), len(t.GetRawData()))
		}
		t.DataType, t.RawData, t.Int32Data = int32(onnx.TensorProto_INT32), nil, make([]int32, n)
	}
	g := m.GetGraph()
	for _, n := range g.GetNode() {
		for _, a := range n.GetAttribute() {
			// A value that fills a tensor has one element.
			if t := a.GetT(); t != nil && foreign[onnx.TensorProto_DataType(t.GetDataType())] > 0 {
				t.Dims, t.DataType, t.RawData, t.Int32Data, replaced = []int64{1}, int32(onnx.TensorProto_INT32), nil, []int32{0}, true
			}
		}
	}
	for _, v := range slices.Concat(g.GetInput(), g.GetOutput(), g.GetValueInfo()) {
		if t := v.GetType().GetTensorType(); t != nil {
			if _, ok := foreign[onnx.TensorProto_DataType(t.GetElemType())]; ok {
				t.ElemType, replaced = int32(onnx.TensorProto_INT32), true
			}
		}
	}
	if !replaced {
		return b, nil
	}
	return proto.Marshal(m)
}

// empty reports whether a tensor has, and says that it has, no elements.
func empty(t *onnx.TensorProto) bool {
	n, err := onnx.Elements(t)
	return err == nil && n == 0 && len(t.GetRawData()) == 0
}

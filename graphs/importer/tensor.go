package importer

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// tensor is a constant of the file.
type tensor struct {
	proto *onnx.TensorProto
	dir   string
	// literal tells the value of a Constant node from an initializer.
	literal bool
}

// shape returns the dimensions of a constant.
func (t *tensor) shape() ir.Shape {
	s := make(ir.Shape, len(t.proto.GetDims()))
	for i, d := range t.proto.GetDims() {
		s[i] = int(d)
	}
	return s
}

// float reports whether the elements are floating-point numbers.
func (t *tensor) float() bool {
	switch onnx.TensorProto_DataType(t.proto.GetDataType()) {
	case onnx.TensorProto_FLOAT, onnx.TensorProto_DOUBLE, onnx.TensorProto_FLOAT16, onnx.TensorProto_BFLOAT16:
		return true
	}
	return false
}

// Weight is a tensor of the file under the name that the model declares.
type Weight struct {
	Name  string
	Shape []int
	// Fixed says that training from scratch starts from the file's value too:
	// of what is no weight, bias or norm.
	Fixed bool
	from  *tensor
}

// Float32s decodes the elements.
func (w Weight) Float32s() ([]float32, error) { return onnx.FloatData(w.from.proto, w.from.dir) }

// Weights lists the tensors of the file that the model declares for images of
// the given size as parameters or statistics, in order of declaration.
func (s *Source) Weights(c models.Config) ([]Weight, error) {
	t, err := s.trace(c)
	if err != nil {
		return nil, err
	}
	return slices.Clone(t.declared), nil
}

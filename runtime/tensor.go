package runtime

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unsafe"

	"github.com/x448/float16"
	ort "github.com/yalue/onnxruntime_go"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// ElementType is an ONNX tensor element type, numbered as in the format.
type ElementType int32

// The element types that tensors of this package can hold.
const (
	Float32 = ElementType(onnx.TensorProto_FLOAT)
	Float16 = ElementType(onnx.TensorProto_FLOAT16)
	Int64   = ElementType(onnx.TensorProto_INT64)
	Uint8   = ElementType(onnx.TensorProto_UINT8)
)

// String returns the type's name as ONNX spells it, in lower case.
func (t ElementType) String() string {
	return strings.ToLower(onnx.TensorProto_DataType(t).String())
}

// Tensor is a value that sessions read and write in place. It refers to
// memory of the Go heap; its owner closes it to free the native handle.
// A Tensor may be an input of several concurrent runs, the output of one.
type Tensor struct {
	value ort.Value
	typ   ElementType
	shape []int64
	data  any // []float32, []float16.Float16, []int64 or []uint8; nil for a scalar
}

// NewTensor makes a zeroed float32 tensor whose memory is aligned for vector
// instructions. The shape has at least one dimension; for none see NewScalar.
func NewTensor(shape ...int64) (*Tensor, error) {
	n, err := elements(shape)
	if err != nil {
		return nil, err
	}
	return WrapTensor(aligned(n), shape...)
}

// WrapTensor makes a float32 tensor over the caller's memory: data must hold
// exactly the elements of the shape, and stays the caller's. What a session
// reads is what data holds when it runs.
func WrapTensor(data []float32, shape ...int64) (*Tensor, error) {
	return wrap(data, Float32, shape)
}

// WrapInts makes an int64 tensor over the caller's memory, as WrapTensor does.
func WrapInts(data []int64, shape ...int64) (*Tensor, error) {
	return wrap(data, Int64, shape)
}

// WrapBytes makes a uint8 tensor over the caller's memory, as WrapTensor does.
func WrapBytes(data []uint8, shape ...int64) (*Tensor, error) {
	return wrap(data, Uint8, shape)
}

// WrapHalves makes a float16 tensor over the caller's memory, as WrapTensor
// does.
func WrapHalves(data []float16.Float16, shape ...int64) (*Tensor, error) {
	if err := fits(len(data), shape); err != nil {
		return nil, err
	}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 2*len(data))
	value, err := ort.NewCustomDataTensor(ort.Shape(shape), raw, ort.TensorElementDataTypeFloat16)
	return tensor(value, err, data, Float16, shape)
}

func wrap[T float32 | int64 | uint8](data []T, typ ElementType, shape []int64) (*Tensor, error) {
	if err := fits(len(data), shape); err != nil {
		return nil, err
	}
	value, err := ort.NewTensor(ort.Shape(shape), data)
	return tensor(value, err, data, typ, shape)
}

// fits reports a number of elements that is not the shape's.
func fits(have int, shape []int64) error {
	n, err := elements(shape)
	if err != nil {
		return err
	}
	if len(shape) == 0 {
		return errors.New("a tensor over memory needs a dimension; use NewScalar for a scalar")
	}
	if n != have {
		return fmt.Errorf("tensor of shape %v holds %d elements, not %d", shape, n, have)
	}
	return nil
}

func tensor(value ort.Value, err error, data any, typ ElementType, shape []int64) (*Tensor, error) {
	if errors.Is(err, ort.NotInitializedError) {
		return nil, ErrNotOpen
	}
	if err != nil {
		return nil, fmt.Errorf("tensor of shape %v: %w", shape, err)
	}
	return &Tensor{value: value, typ: typ, shape: slices.Clone(shape), data: data}, nil
}

// NewScalar makes a float32 tensor without dimensions.
func NewScalar(v float32) (*Tensor, error) {
	value, err := ort.NewScalar(v)
	if errors.Is(err, ort.NotInitializedError) {
		return nil, ErrNotOpen
	}
	if err != nil {
		return nil, fmt.Errorf("scalar tensor: %w", err)
	}
	return &Tensor{value: value, typ: Float32}, nil
}

// Scalar returns the present value of a tensor made by NewScalar; 0 for others.
func (t *Tensor) Scalar() float32 {
	if s, ok := t.value.(*ort.Scalar[float32]); ok {
		return s.GetData()
	}
	return 0
}

// SetScalar changes the value of a tensor made by NewScalar. The native
// handle is replaced, so no run may be using the tensor.
func (t *Tensor) SetScalar(v float32) error {
	old, ok := t.value.(*ort.Scalar[float32])
	if !ok {
		return errors.New("SetScalar on a tensor with dimensions")
	}
	if math.Float32bits(old.GetData()) == math.Float32bits(v) {
		return nil
	}
	// The binding's own Set does not reach the native value.
	value, err := ort.NewScalar(v)
	if err != nil {
		return fmt.Errorf("scalar tensor: %w", err)
	}
	t.value = value
	return old.Destroy()
}

// maker makes tensors until one fails; the others are then nil.
type maker struct{ err error }

func (m *maker) tensor(shape ...int64) (x *Tensor) {
	if m.err == nil {
		x, m.err = NewTensor(shape...)
	}
	return x
}

func (m *maker) scalar(v float32) (x *Tensor) {
	if m.err == nil {
		x, m.err = NewScalar(v)
	}
	return x
}

// elements returns the number of elements of a static shape.
func elements(shape []int64) (int, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("tensor shape %v has a negative dimension", shape)
		}
		if d > 0 && n > (1<<40)/d {
			return 0, fmt.Errorf("tensor shape %v is too large", shape)
		}
		n *= d
	}
	return int(n), nil
}

// aligned returns zeroed memory that starts on a cache line, the alignment
// vectorised kernels are fastest with.
func aligned(n int) []float32 {
	const line, size = 64, 4
	buf := make([]float32, n+line/size)
	at := uintptr(unsafe.Pointer(unsafe.SliceData(buf))) % line
	skip := int((line - at) % line / size)
	return buf[skip : skip+n : skip+n]
}

// Floats returns the tensor's memory if it is float32, else nil.
func (t *Tensor) Floats() []float32 {
	d, _ := t.data.([]float32)
	return d
}

// Ints returns the tensor's memory if it is int64, else nil.
func (t *Tensor) Ints() []int64 {
	d, _ := t.data.([]int64)
	return d
}

// Shape returns the dimensions; the caller must not change them.
func (t *Tensor) Shape() []int64 { return t.shape }

// Type returns the element type.
func (t *Tensor) Type() ElementType { return t.typ }

// Close frees the native handle. The memory itself is the garbage
// collector's. Closing twice is harmless.
func (t *Tensor) Close() {
	if t == nil || t.value == nil {
		return
	}
	t.value.Destroy()
	t.value = nil
}

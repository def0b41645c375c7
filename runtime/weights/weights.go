// Package weights reads named tensors from the files in which networks are
// handed around (PyTorch's state dicts in both of their formats, safetensors)
// and fits them to the layout of an artifact set, with a report of what
// matched.
//
// Only tensors are read: a pickle that asks for anything else is refused by
// name (package pickle).
package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"github.com/ortrain/ortrain/graphs/half"
	"github.com/ortrain/ortrain/runtime/safetensors"
)

// Tensor is a named array. Its elements are decoded when they are asked for.
type Tensor struct {
	Name  string
	Shape []int
	// DType is the element type in the file.
	DType safetensors.DType

	// data are all elements of the storage that the tensor is a view of;
	// offset and stride count elements.
	data   []byte
	offset int
	stride []int
}

// Size returns the number of elements.
func (t *Tensor) Size() int { return size(t.Shape) }

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Float32 makes a tensor of values, which it keeps in encoded form.
func Float32(name string, shape []int, values []float32) *Tensor {
	t := safetensors.Float32(name, shape, values)
	return fromSafetensors(t)
}

func fromSafetensors(t safetensors.Tensor) *Tensor {
	return &Tensor{Name: t.Name, Shape: t.Shape, DType: t.DType, data: t.Data, stride: contiguous(t.Shape)}
}

// contiguous returns the strides of a row-major array.
func contiguous(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// Float32s returns the elements in row-major order, converted: the caller's
// memory.
func (t *Tensor) Float32s() []float32 {
	out := make([]float32, t.Size())
	at := make([]int, len(t.Shape))
	place := t.offset
	for i := range out {
		out[i] = element(t.DType, t.data, place)
		for d := len(at) - 1; d >= 0; d-- {
			at[d]++
			place += t.stride[d]
			if at[d] < t.Shape[d] {
				break
			}
			place -= at[d] * t.stride[d]
			at[d] = 0
		}
	}
	return out
}

// element decodes element i of a storage.
func element(d safetensors.DType, b []byte, i int) float32 {
	le := binary.LittleEndian
	switch d {
	case safetensors.F32:
		return math.Float32frombits(le.Uint32(b[4*i:]))
	case safetensors.F64:
		return float32(math.Float64frombits(le.Uint64(b[8*i:])))
	case safetensors.F16:
		return half.Float(le.Uint16(b[2*i:]))
	case safetensors.BF16:
		return math.Float32frombits(uint32(le.Uint16(b[2*i:])) << 16)
	case safetensors.I64:
		return float32(int64(le.Uint64(b[8*i:])))
	case safetensors.U64:
		return float32(le.Uint64(b[8*i:]))
	case safetensors.I32:
		return float32(int32(le.Uint32(b[4*i:])))
	case safetensors.U32:
		return float32(le.Uint32(b[4*i:]))
	case safetensors.I16:
		return float32(int16(le.Uint16(b[2*i:])))
	case safetensors.U16:
		return float32(le.Uint16(b[2*i:]))
	case safetensors.I8:
		return float32(int8(b[i]))
	}
	return float32(b[i]) // U8, Bool
}

// ErrFormat is wrapped by the error for a file that is none of the formats.
var ErrFormat = errors.New("holds no weights")

// Read reads the tensors of a file, in its order: a PyTorch state dict or a
// checkpoint that holds one (.pth, .pt, .th, .bin, …), or safetensors. The
// content decides, not the name. Errors are one line that names the file.
func Read(path string) ([]*Tensor, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no weights file %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	ts, err := Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ts, nil
}

// Decode is Read for a file's content, which the tensors refer to.
func Decode(b []byte) ([]*Tensor, error) {
	var ts []*Tensor
	var err error
	switch {
	case len(b) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrFormat)
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		ts, err = decodeZip(b)
	case b[0] == 0x80:
		ts, err = decodeLegacy(b)
	case len(b) > 8 && b[8] == '{' && binary.LittleEndian.Uint64(b) <= safetensors.MaxHeader:
		ts, err = decodeSafetensors(b)
	default:
		return nil, fmt.Errorf("%w: it is neither a PyTorch state dict nor safetensors", ErrFormat)
	}
	if err != nil {
		return nil, err
	}
	if len(ts) == 0 {
		return nil, fmt.Errorf("%w: it names no tensors", ErrFormat)
	}
	seen := map[string]bool{}
	for _, t := range ts {
		if seen[t.Name] {
			return nil, fmt.Errorf("%w: it names %q twice", ErrFormat, t.Name)
		}
		seen[t.Name] = true
	}
	return ts, nil
}

func decodeSafetensors(b []byte) ([]*Tensor, error) {
	f, err := safetensors.Decode(b)
	if err != nil {
		return nil, err
	}
	ts := make([]*Tensor, len(f.Tensors))
	for i, t := range f.Tensors {
		ts[i] = fromSafetensors(t)
	}
	return ts, nil
}

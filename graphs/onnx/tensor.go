package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ortrain/ortrain/graphs/half"
)

// ErrNotFloat is wrapped by FloatData's error for a tensor of another type.
var ErrNotFloat = errors.New("not a tensor of floating-point numbers")

// Elements returns the number of elements of a tensor, or an error if its
// dimensions are negative or their product exceeds what one file can hold.
func Elements(t *TensorProto) (int, error) {
	n := int64(1)
	for _, d := range t.GetDims() {
		if d < 0 || d > 0 && n > MaxFile/d {
			return 0, fmt.Errorf("tensor %q has impossible dimensions %v", t.GetName(), t.GetDims())
		}
		n *= d
	}
	return int(n), nil
}

// FloatData returns the elements of a tensor of float32, float64, float16 or
// bfloat16 as float32: raw, typed, or in a file of their own below dir (empty:
// there is none). An error wraps ErrNotFloat if they are of another type.
func FloatData(t *TensorProto, dir string) ([]float32, error) {
	n, err := Elements(t)
	if err != nil {
		return nil, err
	}
	var width int
	var decode func(b []byte) float32
	le := binary.LittleEndian
	var typed int
	var at func(i int) float32
	switch TensorProto_DataType(t.GetDataType()) {
	case TensorProto_FLOAT:
		width, decode = 4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) }
		typed, at = len(t.GetFloatData()), func(i int) float32 { return t.GetFloatData()[i] }
	case TensorProto_DOUBLE:
		width, decode = 8, func(b []byte) float32 { return float32(math.Float64frombits(le.Uint64(b))) }
		typed, at = len(t.GetDoubleData()), func(i int) float32 { return float32(t.GetDoubleData()[i]) }
	case TensorProto_FLOAT16:
		width, decode = 2, func(b []byte) float32 { return half.Float(le.Uint16(b)) }
		typed, at = len(t.GetInt32Data()), func(i int) float32 { return half.Float(uint16(t.GetInt32Data()[i])) }
	case TensorProto_BFLOAT16:
		width, decode = 2, func(b []byte) float32 { return math.Float32frombits(uint32(le.Uint16(b)) << 16) }
		typed, at = len(t.GetInt32Data()), func(i int) float32 { return math.Float32frombits(uint32(t.GetInt32Data()[i]) << 16) }
	default:
		return nil, fmt.Errorf("tensor %q: %w", t.GetName(), ErrNotFloat)
	}
	return elements(t, dir, n, width, decode, typed, at)
}

// IntData returns the elements of a tensor of integers or booleans, stored
// like FloatData's.
func IntData(t *TensorProto, dir string) ([]int64, error) {
	n, err := Elements(t)
	if err != nil {
		return nil, err
	}
	var width int
	var decode func(b []byte) int64
	le := binary.LittleEndian
	typed, at := len(t.GetInt32Data()), func(i int) int64 { return int64(t.GetInt32Data()[i]) }
	switch TensorProto_DataType(t.GetDataType()) {
	case TensorProto_INT64:
		width, decode = 8, func(b []byte) int64 { return int64(le.Uint64(b)) }
		typed, at = len(t.GetInt64Data()), func(i int) int64 { return t.GetInt64Data()[i] }
	case TensorProto_INT32:
		width, decode = 4, func(b []byte) int64 { return int64(int32(le.Uint32(b))) }
	case TensorProto_INT8:
		width, decode = 1, func(b []byte) int64 { return int64(int8(b[0])) }
	case TensorProto_UINT8, TensorProto_BOOL:
		width, decode = 1, func(b []byte) int64 { return int64(b[0]) }
	default:
		return nil, fmt.Errorf("tensor %q is of type %s, not of integers", t.GetName(), TensorProto_DataType(t.GetDataType()))
	}
	return elements(t, dir, n, width, decode, typed, at)
}

// elements reads n elements of the given width from where the tensor keeps
// them; typed is how many its typed field has.
func elements[T any](t *TensorProto, dir string, n, width int, decode func([]byte) T, typed int, at func(int) T) ([]T, error) {
	var raw []byte
	switch {
	case t.GetDataLocation() == TensorProto_EXTERNAL:
		var err error
		if raw, err = external(t, dir, n*width); err != nil {
			return nil, err
		}
	case len(t.GetRawData()) > 0 || n == 0:
		raw = t.GetRawData()
	default:
		if typed != n {
			return nil, fmt.Errorf("tensor %q has %d elements for dimensions %v", t.GetName(), typed, t.GetDims())
		}
		out := make([]T, n)
		for i := range out {
			out[i] = at(i)
		}
		return out, nil
	}
	if len(raw) != n*width {
		return nil, fmt.Errorf("tensor %q has %d bytes for dimensions %v", t.GetName(), len(raw), t.GetDims())
	}
	out := make([]T, n)
	for i := range out {
		out[i] = decode(raw[i*width:])
	}
	return out, nil
}

// external reads a tensor's bytes from the file beside the model that it names.
func external(t *TensorProto, dir string, size int) ([]byte, error) {
	var location string
	var offset, length int64 = 0, -1
	for _, e := range t.GetExternalData() {
		var err error
		switch e.GetKey() {
		case "location":
			location = e.GetValue()
		case "offset":
			offset, err = strconv.ParseInt(e.GetValue(), 10, 64)
		case "length":
			length, err = strconv.ParseInt(e.GetValue(), 10, 64)
		}
		if err != nil || offset < 0 {
			return nil, fmt.Errorf("tensor %q: external data has %s %q", t.GetName(), e.GetKey(), e.GetValue())
		}
	}
	if length >= 0 && length != int64(size) {
		return nil, fmt.Errorf("tensor %q: external data has %d bytes for dimensions %v", t.GetName(), length, t.GetDims())
	}
	// A model from elsewhere must not name files outside its own folder.
	if !filepath.IsLocal(filepath.FromSlash(location)) || strings.ContainsRune(location, '\\') {
		return nil, fmt.Errorf("tensor %q: its external data %q lie outside the model's folder, which is refused", t.GetName(), location)
	}
	if dir == "" {
		return nil, fmt.Errorf("tensor %q: its data lie in the file %q, which is not at hand", t.GetName(), location)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: external data: %w", t.GetName(), err)
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(location))
	if err != nil {
		return nil, fmt.Errorf("tensor %q: its external data are missing: %w; put the file beside the model", t.GetName(), err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("tensor %q: external data: %w", t.GetName(), err)
	}
	if !st.Mode().IsRegular() || offset > st.Size()-int64(size) {
		return nil, fmt.Errorf("tensor %q: its external data %s are cut short: %d bytes from %d on are wanted, the file has %d",
			t.GetName(), location, size, offset, st.Size())
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, offset, int64(size)), b); err != nil {
		return nil, fmt.Errorf("tensor %q: external data %s: %w", t.GetName(), location, err)
	}
	return b, nil
}

// Internal returns a copy of a tensor of floating-point numbers or integers
// that holds its external data itself.
func Internal(t *TensorProto, dir string) (*TensorProto, error) {
	n, err := Elements(t)
	if err != nil {
		return nil, err
	}
	width := 0
	switch TensorProto_DataType(t.GetDataType()) {
	case TensorProto_DOUBLE, TensorProto_INT64, TensorProto_UINT64:
		width = 8
	case TensorProto_FLOAT, TensorProto_INT32, TensorProto_UINT32:
		width = 4
	case TensorProto_FLOAT16, TensorProto_BFLOAT16, TensorProto_INT16, TensorProto_UINT16:
		width = 2
	case TensorProto_INT8, TensorProto_UINT8, TensorProto_BOOL:
		width = 1
	default:
		return nil, fmt.Errorf("tensor %q is of type %s", t.GetName(), TensorProto_DataType(t.GetDataType()))
	}
	raw, err := external(t, dir, n*width)
	if err != nil {
		return nil, err
	}
	return &TensorProto{Name: t.GetName(), Dims: t.GetDims(), DataType: t.GetDataType(), RawData: raw}, nil
}

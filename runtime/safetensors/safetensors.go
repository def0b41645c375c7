// Package safetensors reads and writes the safetensors file format: named
// tensors and a map of strings, without code and without compression.
//
// A file is an 8-byte little-endian length, a JSON header of that length, and
// the tensors' bytes. The header maps each name to its type, shape and place;
// "__metadata__" maps strings to strings. The reader enforces the format's
// rules: no duplicate names, no gaps or overlaps between tensors, sizes that
// agree with types and shapes, nothing beyond the end. What it allocates is
// bounded by the input's size.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxHeader is the longest header that readers accept, 100 MB as in the
// reference implementation.
const MaxHeader = 100_000_000

// metadataKey is the header entry that is no tensor.
const metadataKey = "__metadata__"

// DType is an element type, spelled as in the file.
type DType string

// The element types, all little-endian.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U64  DType = "U64"
	U32  DType = "U32"
	U16  DType = "U16"
	U8   DType = "U8"
	Bool DType = "BOOL"
)

// Size returns the bytes of one element, 0 for an unknown type.
func (d DType) Size() int {
	switch d {
	case F64, I64, U64:
		return 8
	case F32, I32, U32:
		return 4
	case F16, BF16, I16, U16:
		return 2
	case I8, U8, Bool:
		return 1
	}
	return 0
}

// Tensor is a named array. Data are its elements in row-major order,
// little-endian; no dimensions mean one element.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte
}

// Float32 makes an F32 tensor from a copy of values.
func Float32(name string, shape []int, values []float32) Tensor {
	b := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
	}
	return Tensor{Name: name, DType: F32, Shape: shape, Data: b}
}

// Int64 makes an I64 tensor from a copy of values.
func Int64(name string, shape []int, values []int64) Tensor {
	b := make([]byte, 8*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint64(b[8*i:], uint64(v))
	}
	return Tensor{Name: name, DType: I64, Shape: shape, Data: b}
}

// Float32s returns a copy of an F32 tensor's elements.
func (t Tensor) Float32s() ([]float32, error) {
	if t.DType != F32 {
		return nil, fmt.Errorf("safetensors: %q is of type %s, not F32", t.Name, t.DType)
	}
	v := make([]float32, len(t.Data)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return v, nil
}

// Int64s returns a copy of an I64 tensor's elements.
func (t Tensor) Int64s() ([]int64, error) {
	if t.DType != I64 {
		return nil, fmt.Errorf("safetensors: %q is of type %s, not I64", t.Name, t.DType)
	}
	v := make([]int64, len(t.Data)/8)
	for i := range v {
		v[i] = int64(binary.LittleEndian.Uint64(t.Data[8*i:]))
	}
	return v, nil
}

// check verifies that the data fit type and shape.
func (t Tensor) check() error {
	n, err := bytesOf(t.DType, t.Shape)
	if err != nil {
		return fmt.Errorf("%q: %w", t.Name, err)
	}
	if n != len(t.Data) {
		return fmt.Errorf("%q of type %s and shape %v has %d bytes, not %d", t.Name, t.DType, t.Shape, n, len(t.Data))
	}
	return nil
}

// bytesOf returns the size of a tensor, or an error if it overflows.
func bytesOf(d DType, shape []int) (int, error) {
	n := d.Size()
	if n == 0 {
		return 0, fmt.Errorf("unknown type %q", string(d))
	}
	for _, s := range shape {
		if s < 0 || s > 0 && n > math.MaxInt/s {
			return 0, fmt.Errorf("impossible shape %v", shape)
		}
		n *= s
	}
	return n, nil
}

// File is the content of a safetensors file.
type File struct {
	Tensors  []Tensor
	Metadata map[string]string
}

// Lookup returns the tensor of that name.
func (f *File) Lookup(name string) (Tensor, bool) {
	for _, t := range f.Tensors {
		if t.Name == name {
			return t, true
		}
	}
	return Tensor{}, false
}

// Encode writes the file. Equal content gives equal bytes whatever the order
// of f.Tensors: tensors are laid out by descending element size, then name,
// as the reference implementation does, and the data start at a multiple of
// eight bytes.
func (f *File) Encode(w io.Writer) error {
	tensors := slices.Clone(f.Tensors)
	slices.SortFunc(tensors, func(a, b Tensor) int {
		if c := b.DType.Size() - a.DType.Size(); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	header, err := f.header(tensors)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(header)))
	if _, err := w.Write(append(length[:], header...)); err != nil {
		return err
	}
	for _, t := range tensors {
		if _, err := w.Write(t.Data); err != nil {
			return err
		}
	}
	return nil
}

// entry is a tensor's line in the header, in the reference's key order.
type entry struct {
	DType   DType  `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// header encodes the JSON header, padded with spaces.
func (f *File) header(tensors []Tensor) ([]byte, error) {
	b := []byte{'{'}
	field := func(name string, value any) error {
		if !utf8.ValidString(name) {
			return fmt.Errorf("name %q is not UTF-8", name)
		}
		key, err := compact(name)
		if err != nil {
			return err
		}
		text, err := compact(value)
		if err != nil {
			return err
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, key...), ':'), text...)
		return nil
	}
	if len(f.Metadata) > 0 {
		for k, v := range f.Metadata {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, fmt.Errorf("metadata %q is not UTF-8", k)
			}
		}
		if err := field(metadataKey, f.Metadata); err != nil { // maps encode sorted
			return nil, err
		}
	}
	offset := 0
	seen := map[string]bool{metadataKey: true}
	for _, t := range tensors {
		if err := t.check(); err != nil {
			return nil, err
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("name %q is taken", t.Name)
		}
		seen[t.Name] = true
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		if err := field(t.Name, entry{t.DType, shape, [2]int{offset, offset + len(t.Data)}}); err != nil {
			return nil, err
		}
		offset += len(t.Data)
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	if len(b) > MaxHeader {
		return nil, fmt.Errorf("a header of %d bytes exceeds %d", len(b), MaxHeader)
	}
	return b, nil
}

// compact encodes JSON on one line without escaping HTML.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

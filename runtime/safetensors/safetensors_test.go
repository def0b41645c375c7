package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

// raw makes a file from a header text and data.
func raw(header string, data ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func encode(t testing.TB, f *File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestKnownBytes compares with the bytes that safetensors 0.8 for Python
// writes for the same content: save({"b": float32 [1, -2], "a": uint8 [[7]]},
// metadata={"k": "v"}).
func TestKnownBytes(t *testing.T) {
	f := &File{Metadata: map[string]string{"k": "v"}, Tensors: []Tensor{
		{Name: "a", DType: U8, Shape: []int{1, 1}, Data: []byte{7}},
		Float32("b", []int{2}, []float32{1, -2}),
	}}
	header := `{"__metadata__":{"k":"v"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[1,1],"data_offsets":[8,9]}}`
	header += strings.Repeat(" ", (8-len(header)%8)%8)
	want := raw(header, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 7)
	if got := encode(t, f); !bytes.Equal(got, want) {
		t.Errorf("encoded\n%q, want\n%q", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	f := &File{Metadata: map[string]string{"näme": "<ü&\n>"}, Tensors: []Tensor{
		Int64("ints", []int{3}, []int64{math.MinInt64, 0, 5}),
		Float32("empty", []int{0, 4}, nil),
		Float32("scalar", nil, []float32{float32(math.Inf(1))}),
		{Name: "half", DType: F16, Shape: []int{2}, Data: []byte{1, 2, 3, 4}},
	}}
	first := encode(t, f)
	g, err := Decode(first)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g.Metadata, f.Metadata) {
		t.Errorf("metadata %v", g.Metadata)
	}
	for _, want := range f.Tensors {
		got, ok := g.Lookup(want.Name)
		if !ok || got.DType != want.DType || !bytes.Equal(got.Data, want.Data) || len(got.Shape) != len(want.Shape) {
			t.Errorf("%s came back as %+v", want.Name, got)
		}
	}
	ints, err := g.Tensors[0].Int64s()
	if err != nil || !reflect.DeepEqual(ints, []int64{math.MinInt64, 0, 5}) {
		t.Errorf("ints %v, %v", ints, err)
	}
	if second := encode(t, g); !bytes.Equal(first, second) {
		t.Error("encoding again changed the bytes")
	}
	if _, err := g.Tensors[0].Float32s(); err == nil {
		t.Error("an I64 tensor was read as F32")
	}
}

func TestEncodeRefuses(t *testing.T) {
	one := Float32("x", []int{1}, []float32{1})
	for name, f := range map[string]*File{
		"duplicate":     {Tensors: []Tensor{one, one}},
		"reserved name": {Tensors: []Tensor{Float32("__metadata__", nil, []float32{1})}},
		"short data":    {Tensors: []Tensor{{Name: "x", DType: F32, Shape: []int{2}, Data: make([]byte, 4)}}},
		"unknown type":  {Tensors: []Tensor{{Name: "x", DType: "F7", Data: make([]byte, 4)}}},
		"bad name":      {Tensors: []Tensor{Float32("\xff", nil, []float32{1})}},
		"bad metadata":  {Metadata: map[string]string{"k": "\xff"}},
		"negative":      {Tensors: []Tensor{{Name: "x", DType: F32, Shape: []int{-1}}}},
	} {
		if err := f.Encode(&bytes.Buffer{}); err == nil {
			t.Errorf("%s was encoded", name)
		}
	}
}

var broken = []struct {
	name string
	b    []byte
	is   error
	says string
}{
	{"empty", nil, ErrFormat, "0 bytes"},
	{"png", []byte("\x89PNG\r\n\x1a\n and more"), ErrFormat, "header"},
	{"text", []byte("epoch,step,loss\n1,2,3\n"), ErrFormat, "header"},
	{"huge header", raw(`{}`)[:7:7], ErrFormat, "7 bytes"},
	{"no object", raw(`[]`), ErrFormat, "not JSON"},
	{"cut header", raw(`{"x":{"dtype":"F32"}}`)[:14], ErrTruncated, "within the header"},
	{"cut data", raw(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 1, 2), ErrTruncated, "2 of 8"},
	{"extra data", raw(`{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1, 2), ErrFormat, "follow"},
	{"duplicate", raw(`{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`), ErrFormat, "twice"},
	{"gap", raw(`{"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 1, 2), ErrFormat, "expected from 0"},
	{"overlap", raw(`{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 1, 2, 3), ErrFormat, "expected from 2"},
	{"backwards", raw(`{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,-1]}}`, 1), ErrFormat, "expected"},
	{"wrong size", raw(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,1]}}`, 1), ErrFormat, "4 bytes"},
	{"overflow", raw(`{"x":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,1]}}`, 1), ErrFormat, "impossible"},
	{"type", raw(`{"x":{"dtype":"F7","shape":[1],"data_offsets":[0,1]}}`, 1), ErrFormat, "unknown type"},
	{"shape missing", raw(`{"x":{"dtype":"U8","data_offsets":[0,1]}}`, 1), ErrFormat, "lacks"},
	{"metadata", raw(`{"__metadata__":{"k":1}}`), ErrFormat, "strings"},
	{"trailing text", raw(`{} {}`), ErrFormat, "follows"},
	{"number", raw(`{"x":1.5}`), ErrFormat, "broken"},
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range broken {
		_, err := Decode(c.b)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %v saying %q", c.name, err, c.is, c.says)
		}
	}
}

// FuzzDecode checks that what decodes also encodes, to the same content.
func FuzzDecode(f *testing.F) {
	for _, c := range broken {
		f.Add(c.b)
	}
	f.Add(encode(f, &File{Metadata: map[string]string{"k": "v"}, Tensors: []Tensor{Float32("x", []int{2}, []float32{1, 2})}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := Decode(b)
		if err != nil {
			return
		}
		y, err := Decode(encode(t, x))
		if err != nil {
			t.Fatal(err)
		}
		if len(x.Tensors) != len(y.Tensors) || !reflect.DeepEqual(x.Metadata, y.Metadata) {
			t.Fatalf("%+v became %+v", x, y)
		}
		for _, a := range x.Tensors {
			b, ok := y.Lookup(a.Name)
			if !ok || !bytes.Equal(a.Data, b.Data) || !reflect.DeepEqual(a.Shape, b.Shape) {
				t.Fatalf("%+v became %+v", a, b)
			}
		}
	})
}

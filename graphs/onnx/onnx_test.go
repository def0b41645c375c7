package onnx

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// small is a model of one node that uses every constructor of this package.
func small() *ModelProto {
	return &ModelProto{
		IrVersion: 10, ProducerName: "ortrain",
		OpsetImport: []*OperatorSetIdProto{{Version: 21}, {Domain: "com.microsoft", Version: 1}},
		Graph: &GraphProto{
			Name:   "g",
			Input:  []*ValueInfoProto{TensorInfo("x", TensorProto_FLOAT, []int64{-1, 2})},
			Output: []*ValueInfoProto{TensorInfo("y", TensorProto_FLOAT, nil)},
			Initializer: []*TensorProto{
				Floats("w", []int64{3}, []float32{1, -0.5, float32(math.Inf(1))}),
				Ints("shape", []int64{2}, []int64{-1, 1 << 40}),
			},
			Node: []*NodeProto{{
				Name: "n", OpType: "Made", Domain: "com.microsoft", Input: []string{"x", "", "w"}, Output: []string{"y"},
				Attribute: []*AttributeProto{
					AttrInt("i", -3), AttrFloat("f", 0.25), AttrInts("is", 1, 2), AttrFloats("fs", 1.5),
					AttrString("s", "Relu"), AttrTensor("t", Floats("", []int64{1}, []float32{7})),
				},
			}},
		},
	}
}

func encode(t testing.TB, m *ModelProto) []byte {
	t.Helper()
	b, err := Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	m := small()
	b := encode(t, m)
	got, err := Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, m) {
		t.Errorf("came back as %v", got)
	}
	if again := encode(t, got); !bytes.Equal(b, again) {
		t.Error("equal models have different bytes")
	}
}

// TestBytes spells a model out by the field numbers of the ONNX specification,
// as a reader that is not generated from our schema expects them.
func TestBytes(t *testing.T) {
	m := &ModelProto{
		IrVersion: 10, OpsetImport: []*OperatorSetIdProto{{Version: 21}},
		Graph: &GraphProto{
			Name:        "g",
			Node:        []*NodeProto{{OpType: "Relu", Input: []string{"x"}, Output: []string{"y"}, Attribute: []*AttributeProto{AttrInt("k", 1)}}},
			Initializer: []*TensorProto{Floats("x", []int64{1}, []float32{1})},
			Output:      []*ValueInfoProto{TensorInfo("y", TensorProto_FLOAT, []int64{-1, 3})},
		},
	}
	want := strings.ReplaceAll(strings.Join([]string{
		"08 0a",                                  // ModelProto.ir_version = 10
		"3a 41",                                  // .graph, 65 bytes
		"0a 16 0a 01 78 12 01 79 22 04 52656c75", // .node: input x, output y, op_type Relu
		"2a 08 0a 01 6b 18 01 a001 02",           // its attribute: name k, i = 1, type INT
		"12 01 67",                               // .name = g
		"2a 0e 0a 01 01 10 01 42 01 78 4a 04 0000803f", // .initializer: dims 1, FLOAT, name x, raw 1.0
		"62 14 0a 01 79", // .output: name y,
		"12 0f 0a 0d 08 01 12 09 0a 03 12 01 4e 0a 02 08 03", // a FLOAT tensor of dimensions "N" and 3
		"42 02 10 15", // ModelProto.opset_import: version 21
	}, ""), " ", "")
	if got := hex.EncodeToString(encode(t, m)); got != want {
		t.Errorf("encoded as\n%s, want\n%s", got, want)
	}
}

func TestConstructors(t *testing.T) {
	f := Floats("w", []int64{2, 1}, []float32{1, -2})
	if got, want := hex.EncodeToString(f.RawData), "0000803f000000c0"; got != want {
		t.Errorf("floats are %s, want %s", got, want)
	}
	i := Ints("k", []int64{2}, []int64{1, -2})
	if got, want := hex.EncodeToString(i.RawData), "0100000000000000feffffffffffffff"; got != want {
		t.Errorf("ints are %s, want %s", got, want)
	}
	data := []float32{1}
	f = Floats("w", []int64{1}, data)
	if data[0] = 2; f.RawData[3] != 0x3f {
		t.Error("a tensor shares the caller's data")
	}
	info := TensorInfo("x", TensorProto_UINT8, []int64{-1, 3}).GetType().GetTensorType()
	dims := info.GetShape().GetDim()
	if info.GetElemType() != 2 || len(dims) != 2 || dims[0].GetDimParam() != "N" || dims[1].GetDimValue() != 3 {
		t.Errorf("declared as %v", info)
	}
	// A scalar has a shape of no dimensions, which differs from no shape.
	if s := TensorInfo("x", TensorProto_FLOAT, nil).GetType().GetTensorType().GetShape(); s == nil || len(s.GetDim()) != 0 {
		t.Errorf("a scalar is declared as %v", s)
	}
}

// TestUnknownFieldsSurvive: what newer tools write is kept through a read and
// a write.
func TestUnknownFieldsSurvive(t *testing.T) {
	b := encode(t, small())
	b = protowire.AppendTag(b, 26, protowire.BytesType)
	b = protowire.AppendString(b, "a field of the future")
	m, err := Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(encode(t, m), []byte("a field of the future")) {
		t.Error("an unknown field was dropped")
	}
}

func TestUnmarshalRejects(t *testing.T) {
	whole := encode(t, small())
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":       {nil, "empty"},
		"text":          {[]byte("hello, this is no model\n"), "not an ONNX model"},
		"cut short":     {whole[:len(whole)-5], "cut short"},
		"zeros":         {make([]byte, 100), "not an ONNX model"},
		"no graph":      {encode(t, &ModelProto{IrVersion: 10}), "no graph"},
		"no IR version": {encode(t, &ModelProto{Graph: &GraphProto{}}), "no IR version"},
		"a PNG":         {[]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), "not an ONNX model"},
	} {
		m, err := Unmarshal(tt.data)
		if err == nil {
			t.Errorf("%s: read as %v", name, m)
			continue
		}
		if msg := err.Error(); !strings.Contains(msg, tt.want) || strings.Contains(msg, "\n") {
			t.Errorf("%s: error %q, want one line with %q", name, msg, tt.want)
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole := encode(t, small())
	m, err := ReadFile(write("good.onnx", whole))
	if err != nil || !proto.Equal(m, small()) {
		t.Errorf("good.onnx: %v, %v", m, err)
	}
	huge := write("huge.onnx", nil)
	if err := os.Truncate(huge, MaxFile+1); err != nil {
		t.Logf("no sparse files here: %v", err)
		huge = ""
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing.onnx"):      "no such file",
		dir:                                     "is a folder",
		write("empty.onnx", nil):                "empty",
		write("cut.onnx", whole[:len(whole)/2]): "cut short",
		huge:                                    "at most 2 GiB",
	} {
		if path == "" {
			continue
		}
		_, err := ReadFile(path)
		if err == nil {
			t.Errorf("%s was read", path)
			continue
		}
		if msg := err.Error(); !strings.Contains(msg, want) || !strings.Contains(msg, path) || strings.Contains(msg, "\n") {
			t.Errorf("%s: error %q, want one line with the path and %q", path, msg, want)
		}
	}
}

// decodeCost is how many bytes decoding data allocates.
func decodeCost(data []byte) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	Unmarshal(data)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// maxCost bounds the memory for a file of n bytes: an empty message takes two
// bytes in the file and a few hundred in memory.
func maxCost(n int) uint64 { return 1<<16 + 512*uint64(n) }

// TestDecodingIsBounded feeds what decoders have choked on: lengths beyond the
// file, many empty messages, deep nesting.
func TestDecodingIsBounded(t *testing.T) {
	nest := func(levels int) (graph []byte) {
		wrap := func(field protowire.Number, b []byte) []byte {
			return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), b)
		}
		for range levels {
			graph = wrap(1, wrap(5, wrap(6, graph))) // graph.node.attribute.g
		}
		return graph
	}
	inModel := func(graph []byte) []byte {
		b := []byte{0x08, 0x0a}
		return protowire.AppendBytes(protowire.AppendTag(b, 7, protowire.BytesType), graph)
	}
	dims := protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType),
		protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), bytes.Repeat([]byte{1}, 1000)))
	for name, data := range map[string][]byte{
		"a length of 2^40":         {0x3a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 1},
		"a packed length of 2^31":  inModel([]byte{0x2a, 0x06, 0x0a, 0x80, 0x80, 0x80, 0x80, 0x08}),
		"empty nodes":              inModel(bytes.Repeat([]byte{0x0a, 0}, 5000)),
		"empty initializers":       inModel(bytes.Repeat([]byte{0x2a, 0}, 5000)),
		"many dimensions":          inModel(bytes.Repeat(dims, 20)),
		"graphs within graphs":     inModel(nest(2000)),
		"more graphs within":       inModel(nest(5000)),
		"a group that never ends":  bytes.Repeat([]byte{0x0b}, 5000),
		"a varint that never ends": bytes.Repeat([]byte{0xff}, 5000),
	} {
		if cost := decodeCost(data); cost > maxCost(len(data)) {
			t.Errorf("%s: %d bytes took %d of memory", name, len(data), cost)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	whole := encode(f, small())
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(slices.Concat(whole, whole))
	f.Add([]byte{})
	f.Add([]byte{0x08, 0x0a, 0x3a, 0x00})
	f.Add(bytes.Repeat([]byte{0x3a, 0x02, 0x2a, 0x00}, 50))
	f.Fuzz(func(t *testing.T, data []byte) {
		if cost := decodeCost(data); cost > maxCost(len(data)) {
			t.Fatalf("%d bytes took %d of memory", len(data), cost)
		}
		m, err := Unmarshal(data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		b, err := Marshal(m)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Unmarshal(b)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if c, err := Marshal(again); err != nil || !bytes.Equal(b, c) {
			t.Fatalf("the bytes changed by a second pass: %v", err)
		}
	})
}

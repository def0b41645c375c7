package weights_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime/weights"
	"github.com/ortrain/ortrain/runtime/weights/pickle"
)

// arange is what the fixtures hold (tools/parity/weights/fixtures.py).
func arange(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i)/8 - 2
	}
	return v
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestStateDicts: both of PyTorch's formats, every type, and views.
func TestStateDicts(t *testing.T) {
	base := arange(12)
	want := []struct {
		name   string
		shape  []int
		values []float32
	}{
		{"conv.weight", []int{2, 3, 3, 3}, arange(54)},
		{"bn.weight", []int{4}, arange(4)},
		{"bn.num_batches_tracked", []int{}, []float32{7}},
		{"half", []int{5}, arange(5)},
		{"bfloat", []int{5}, arange(5)},
		{"double", []int{5}, arange(5)},
		{"scalar", []int{}, []float32{1.5}},
		{"transposed", []int{3, 4}, []float32{
			base[0], base[3], base[6], base[9], base[1], base[4], base[7], base[10], base[2], base[5], base[8], base[11]}},
		{"row", []int{3}, base[6:9]},
		{"ints", []int{3}, []float32{-1, 0, 3}},
	}
	for _, file := range []string{"zip.pth", "legacy.pth"} {
		ts, err := weights.Read(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		if len(ts) != len(want) {
			t.Fatalf("%s: %d tensors, want %d", file, len(ts), len(want))
		}
		for i, w := range want {
			if ts[i].Name != w.name || !slices.Equal(ts[i].Shape, w.shape) || !slices.Equal(ts[i].Float32s(), w.values) {
				t.Errorf("%s: %s %v %v, want %s %v %v", file, ts[i].Name, ts[i].Shape, ts[i].Float32s(), w.name, w.shape, w.values)
			}
		}
	}
}

// TestCheckpoint: a training script's dict, whose state dict bears the names
// that DataParallel gives.
func TestCheckpoint(t *testing.T) {
	ts, err := weights.Read("testdata/wrapped.pth")
	if err != nil {
		t.Fatal(err)
	}
	m := &artifact.Manifest{
		Parameters: []artifact.TensorInfo{
			{Name: "conv.weight", Shape: []int{1, 1, 1, 1}, Size: 1},
			{Name: "bn.weight", Shape: []int{2}, Offset: 1, Size: 2},
			{Name: "fc.weight", Shape: []int{1}, Offset: 3, Size: 1},
		},
		Statistics: []artifact.TensorInfo{{Name: "bn.running_var", Shape: []int{1}, Size: 1}},
	}
	s := &artifact.State{Params: []float32{9, 9, 9, 9}, Stats: []float32{9}}
	r := weights.Fill(m, s, ts)
	if r.Matched != 2 || r.Wanted != 4 || r.Prefix != "module." || r.Complete() ||
		!slices.Equal(r.Missing, []string{"fc.weight"}) ||
		!slices.Equal(r.Unexpected, []string{"module.conv.bias", "module.bn.bias", "module.bn.running_mean"}) ||
		len(r.Mismatched) != 1 || r.Mismatched[0].Name != "bn.weight" {
		t.Errorf("report %+v", r)
	}
	if !slices.Equal(s.Params, []float32{0.25, 9, 9, 9}) || s.Stats[0] != 1 {
		t.Errorf("state %v %v", s.Params, s.Stats)
	}
	for _, word := range []string{"2 of 4", `"module."`, "bn.weight is [1] in the file and [2] in the network", "fc.weight", "module.conv.bias"} {
		if !strings.Contains(r.String(), word) {
			t.Errorf("%s\nlacks %s", r, word)
		}
	}
}

// TestRefused: what is no file of tensors gets one line that says so.
func TestRefused(t *testing.T) {
	whole, legacy := read(t, "zip.pth"), read(t, "legacy.pth")
	packed := func(files map[string]string, method uint16) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, text := range files {
			w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
			if err != nil {
				t.Fatal(err)
			}
			w.Write([]byte(text))
		}
		z.Close()
		return b.Bytes()
	}
	for _, c := range []struct {
		name string
		b    []byte
		is   error
		says string
	}{
		{"code in a zip", read(t, "code.pth"), pickle.ErrCode, "posix.system"},
		{"code in the old format", read(t, "code_legacy.pth"), pickle.ErrCode, "posix.system"},
		{"a bare pickle", read(t, "code.pkl"), pickle.ErrCode, "posix.system"},
		{"a whole module", read(t, "module.pth"), pickle.ErrCode, "torch.nn.modules.container.Sequential"},
		{"a class instance of protocol 0", []byte("\x80\x02(ios\nsystem\n."), pickle.ErrCode, "os.system"},
		{"a name from the stack", []byte("\x80\x04\x8c\x02os\x8c\x06system\x93."), pickle.ErrCode, "os.system"},
		{"a cut zip", whole[:len(whole)/2], pickle.ErrFormat, "cut short"},
		{"a cut old file", legacy[:len(legacy)-30], pickle.ErrFormat, "cut short within storage"},
		{"a cut program", legacy[:200], pickle.ErrFormat, ""},
		{"empty", nil, weights.ErrFormat, "empty"},
		{"text", []byte("epoch,loss\n1,2\n"), weights.ErrFormat, "neither"},
		{"an archive of others", packed(map[string]string{"a.txt": "x"}, zip.Store), weights.ErrFormat, "data.pkl"},
		{"TorchScript", packed(map[string]string{"m/data.pkl": "N.", "m/constants.pkl": "N."}, zip.Store), weights.ErrFormat, "TorchScript"},
		{"compressed records", packed(map[string]string{"m/data.pkl": "N."}, zip.Deflate), pickle.ErrFormat, "compressed"},
		{"a pickle of a number", packed(map[string]string{"m/data.pkl": "K\x01."}, zip.Store), weights.ErrFormat, "int64"},
		{"big-endian numbers", packed(map[string]string{"m/data.pkl": "}.", "m/byteorder": "big"}, zip.Store), weights.ErrFormat, "little-endian"},
		{"no tensors", packed(map[string]string{"m/data.pkl": "}."}, zip.Store), weights.ErrFormat, "no dict of named tensors"},
	} {
		_, err := weights.Decode(c.b)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %v saying %q", c.name, err, c.is, c.says)
		}
	}
	if _, err := weights.Read("testdata/none.pth"); err == nil || !strings.Contains(err.Error(), "no weights file testdata/none.pth") {
		t.Errorf("a missing file: %v", err)
	}
}

// FuzzDecode: hostile bytes are refused or give tensors whose elements can be
// read.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"zip.pth", "legacy.pth", "wrapped.pth", "code.pth", "code_legacy.pth", "code.pkl"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		ts, err := weights.Decode(b)
		if err != nil {
			return
		}
		for _, x := range ts {
			if x.Size() > len(b) || len(x.Float32s()) != x.Size() {
				t.Fatalf("%s %v of %d bytes", x.Name, x.Shape, len(b))
			}
		}
	})
}

package cifar

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// record makes a record whose pixel i of plane p is p·80 + i%80.
func record(labels ...byte) []byte {
	b := append([]byte{}, labels...)
	for p := range 3 {
		for i := range plane {
			b = append(b, byte(p*80+i%80))
		}
	}
	return b
}

func TestRead(t *testing.T) {
	var text []byte
	for i := range 130 { // more than one buffer
		text = append(text, record(byte(i%10))...)
	}
	var r Records
	// A reader that gives little at a time must make no difference.
	if err := r.Read(iotest.HalfReader(bytes.NewReader(text)), "x", Ten); err != nil {
		t.Fatal(err)
	}
	if len(r.Labels) != 130 || len(r.Pix) != 130*pixels {
		t.Fatalf("%d labels, %d bytes", len(r.Labels), len(r.Pix))
	}
	for i, l := range r.Labels {
		if l != i%10 {
			t.Fatalf("label %d is %d", i, l)
		}
		for at := range plane {
			p := r.Pix[i*pixels+3*at:]
			if v := byte(at % 80); p[0] != v || p[1] != 80+v || p[2] != 160+v {
				t.Fatalf("image %d pixel %d is %v", i, at, p[:3])
			}
		}
	}
	// Reading again appends.
	if err := r.Read(bytes.NewReader(record(3)), "y", Ten); err != nil || len(r.Labels) != 131 || r.Labels[130] != 3 {
		t.Errorf("append: %v, %d labels", err, len(r.Labels))
	}
}

func TestReadHundredUsesTheFineLabel(t *testing.T) {
	var r Records
	if err := r.Read(bytes.NewReader(append(record(19, 99), record(0, 42)...)), "x", Hundred); err != nil {
		t.Fatal(err)
	}
	if r.Labels[0] != 99 || r.Labels[1] != 42 {
		t.Errorf("labels %v", r.Labels)
	}
}

func TestErrors(t *testing.T) {
	two := append(record(1), record(2)...)
	many := bytes.Repeat(record(1), 70)
	tests := []struct {
		name string
		text []byte
		f    Format
		want string
	}{
		{"empty", nil, Ten, "f.bin: the file is empty"},
		{"short", two[:100], Ten, "f.bin: record 0 is cut off: 100 of 3073 bytes; get the file again or check that it is CIFAR-10"},
		{"cut", two[:len(two)-1], Ten, "f.bin: record 1 is cut off: 3072 of 3073 bytes; get the file again or check that it is CIFAR-10"},
		{"cut in a later buffer", many[:len(many)-5], Ten, "f.bin: record 69 is cut off: 3068 of 3073 bytes; get the file again or check that it is CIFAR-10"},
		{"label", append(record(1), record(10)...), Ten, "f.bin: record 1: label 10 is not below 10; the file is damaged or not CIFAR-10"},
		{"fine label", record(3, 100), Hundred, "f.bin: record 0: label 100 is not below 100; the file is damaged or not CIFAR-100"},
	}
	dir := t.TempDir()
	for _, tt := range tests {
		path := filepath.Join(dir, "f.bin")
		if err := os.WriteFile(path, tt.text, 0o644); err != nil {
			t.Fatal(err)
		}
		var r Records
		err := r.ReadFile(path, tt.f)
		if err == nil || err.Error() != dir+string(filepath.Separator)+tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
	var r Records
	if err := r.ReadFile(filepath.Join(dir, "missing"), Ten); !os.IsNotExist(err) {
		t.Errorf("missing: %v", err)
	}
	if err := r.ReadFile(dir, Ten); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("folder: %v", err)
	}
	if err := r.Read(iotest.ErrReader(os.ErrPermission), "x", Ten); err == nil || !strings.Contains(err.Error(), "permission") {
		t.Errorf("read error: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(record(1), false)
	f.Add(append(record(1), record(10)...), false)
	f.Add(record(1, 99), true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, text []byte, hundred bool) {
		format := Ten
		if hundred {
			format = Hundred
		}
		var r Records
		err := r.Read(bytes.NewReader(text), "x", format)
		if len(r.Pix) != len(r.Labels)*pixels {
			t.Fatalf("%d bytes for %d labels", len(r.Pix), len(r.Labels))
		}
		if err == nil && len(r.Labels) != len(text)/format.record() {
			t.Fatalf("%d records of %d bytes", len(r.Labels), len(text))
		}
		for _, l := range r.Labels {
			if l < 0 || l >= format.Classes {
				t.Fatalf("label %d", l)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	text := bytes.Repeat(record(1), 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var r Records
		if err := r.Read(bytes.NewReader(text), "x", Ten); err != nil {
			b.Fatal(err)
		}
	}
}

package idx

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// file makes an IDX file from words of 32 bits and data.
func file(words []uint32, data ...byte) []byte {
	var b []byte
	for _, w := range words {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return append(b, data...)
}

func zip(text []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(text)
	w.Close()
	return buf.Bytes()
}

var (
	images = file([]uint32{imageMagic, 2, 2, 3}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	labels = file([]uint32{labelMagic, 3}, 7, 0, 9)
)

func TestRead(t *testing.T) {
	for _, packed := range []bool{false, true} {
		m, l := images, labels
		if packed {
			m, l = zip(m), zip(l)
		}
		a, err := Read(bytes.NewReader(m), "images")
		if err != nil {
			t.Fatal(err)
		}
		if a.N != 2 || a.H != 2 || a.W != 3 || !a.Images() || !slices.Equal(a.Data, images[16:]) {
			t.Errorf("images: %+v", a)
		}
		path := filepath.Join(t.TempDir(), "labels")
		if err := os.WriteFile(path, l, 0o644); err != nil {
			t.Fatal(err)
		}
		a, err = ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if a.N != 3 || a.Images() || !slices.Equal(a.Data, []byte{7, 0, 9}) {
			t.Errorf("labels: %+v", a)
		}
	}
}

func TestErrors(t *testing.T) {
	broken := zip(images)
	broken[len(broken)-6] ^= 1 // the checksum
	tests := []struct {
		name string
		text []byte
		want string
	}{
		{"empty", nil, "f: cut off in its header, before the magic number"},
		{"header", images[:10], "f: cut off in its header, before the height"},
		{"magic", file([]uint32{0x00000D03, 1, 1, 1}, 1, 2, 3, 4), "f: magic number 0x00000d03 is neither 0x00000803 (images) nor 0x00000801 (labels); not an IDX file of bytes"},
		{"text", []byte("<html>not found</html>"), "f: magic number 0x3c68746d is neither 0x00000803 (images) nor 0x00000801 (labels); not an IDX file of bytes"},
		{"cut", images[:len(images)-1], "f: declares 2 items of 6 bytes but item 1 is cut off; get the file again"},
		{"longer", append(slices.Clone(images), 0), "f: goes on after the 2 items of 6 bytes it declares"},
		{"none", file([]uint32{labelMagic, 0}), "f: declares no items"},
		{"flat", file([]uint32{imageMagic, 1, 0, 3}), "f: declares images of 3×0; sides must be 1 to 16384"},
		{"huge side", file([]uint32{imageMagic, 1, 1 << 31, 3}), "f: declares images of 3×2147483648; sides must be 1 to 16384"},
		{"huge", file([]uint32{imageMagic, 0xFFFFFFFF, 1 << 14, 1 << 14}, 1, 2), "f: declares 4294967295 items of 268435456 bytes but item 0 is cut off; get the file again"},
		{"gzip header", []byte{0x1f, 0x8b, 9, 9}, "f: damaged gzip file (unexpected EOF); get it again"},
		{"gzip checksum", broken, "f: damaged gzip file (gzip: invalid checksum); get it again"},
		{"gzip cut", zip(images)[:25], "f: damaged gzip file (unexpected EOF); get it again"},
	}
	for _, tt := range tests {
		_, err := Read(bytes.NewReader(tt.text), "f")
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s:\n got %v\nwant %s", tt.name, err, tt.want)
		}
	}
	if _, err := ReadFile(filepath.Join(t.TempDir(), "missing")); !os.IsNotExist(err) {
		t.Errorf("missing: %v", err)
	}
	if _, err := ReadFile(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("folder: %v", err)
	}
}

// A file that declares an exabyte must not cost more than it holds.
func TestMemoryFollowsTheFile(t *testing.T) {
	lie := file([]uint32{imageMagic, 0xFFFFFFFF, 1 << 14, 1 << 14}, 1, 2, 3)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	Read(bytes.NewReader(lie), "f")
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes allocated for a file of %d", got, len(lie))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(images)
	f.Add(labels)
	f.Add(zip(images))
	f.Add(zip(labels)[:20])
	f.Add(file([]uint32{imageMagic, 0xFFFFFFFF, 1 << 14, 1 << 14}, 1, 2))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := Read(bytes.NewReader(text), "x")
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		if want := a.N * max(a.H*a.W, 1); len(a.Data) != want {
			t.Errorf("%d bytes, want %d", len(a.Data), want)
		}
	})
}

package packed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var three = []string{"ant", "bee", "cow"}

// image i of a part: bytes that tell it apart.
func picture(i, n int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8), 7}, n) }

// pack writes images of 2×2 pixels, or files of various sizes, a few a shard.
func pack(t testing.TB, pixels string, parts map[string]int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "set")
	m := Manifest{Origin: "test", Pixels: pixels, Channels: 3, Classes: three}
	if pixels == Raw {
		m.Width, m.Height = 2, 2
	}
	w, err := NewWriter(dir, m, 40)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Parts {
		n, ok := parts[name]
		if !ok {
			continue
		}
		if err := w.Begin(name); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := w.Add(i%3, fmt.Sprint("image", i), picture(i, size(pixels, i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	w.Abort() // does nothing any more
	return dir
}

func size(pixels string, i int) int {
	if pixels == Raw {
		return 4
	}
	return i % 5
}

func open(t testing.TB, dir, part string) *Part {
	t.Helper()
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Open(dir, part)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestPack(t *testing.T) {
	for _, pixels := range []string{Raw, File} {
		dir := pack(t, pixels, map[string]int{Train: 300, Test: 11, Validation: 0})
		for name, n := range map[string]int{Train: 300, Test: 11, Validation: 0} {
			p := open(t, dir, name)
			if p.Len() != n {
				t.Fatalf("%s %s: %d images", pixels, name, p.Len())
			}
			if want := []int{(n + 2) / 3, (n + 1) / 3, n / 3}; !slices.Equal(p.Counts(), want) {
				t.Errorf("%s %s: counts %v, want %v", pixels, name, p.Counts(), want)
			}
			for i := range n {
				b, err := p.Bytes(i)
				if err != nil || !bytes.Equal(b, picture(i, size(pixels, i))) || cap(b) != len(b) {
					t.Fatalf("%s %s image %d: %v, %v", pixels, name, i, b, err)
				}
				if p.Label(i) != i%3 || p.Original(i) != fmt.Sprint("image", i) || !strings.Contains(p.Name(i), fmt.Sprintf("%s image %d (image%d)", ".shard", i, i)) {
					t.Fatalf("%s %s image %d: label %d, name %s", pixels, name, i, p.Label(i), p.Name(i))
				}
			}
		}
		if problems, err := Check(t.Context(), dir, nil); err != nil || len(problems) > 0 {
			t.Errorf("%s: %v, %v", pixels, problems, err)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := NewWriter(dir, Manifest{}, 1); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder that is not empty: %v", err)
	}
	if _, err := NewWriter(filepath.Join(dir, "x", "y"), Manifest{}, 1); err == nil {
		t.Error("a folder within a file")
	}
	parent := t.TempDir()
	w, err := NewWriter(filepath.Join(parent, "set"), Manifest{Pixels: Raw, Width: 1, Height: 1, Channels: 3, Classes: three}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(Train); err != nil {
		t.Fatal(err)
	}
	if err := w.Add(0, "", []byte{1, 2}); err == nil {
		t.Error("an image of another size")
	}
	w.Abort()
	if entries, _ := os.ReadDir(parent); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

// TestDamaged: every changed byte of every file is found by Check, and reading
// gives the right bytes or an error.
func TestDamaged(t *testing.T) {
	dir := pack(t, File, map[string]int{Train: 30})
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(whole); at += 1 + len(whole)/150 {
			b := bytes.Clone(whole)
			b[at] ^= 0x41
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
			problems, err := Check(t.Context(), dir, nil)
			if len(problems) == 0 && err == nil && e.Name() != ManifestFile {
				t.Errorf("%s with another byte %d: not found", e.Name(), at)
			}
			everything(dir, func(i int, got []byte, label int) {
				if !bytes.Equal(got, picture(i, size(File, i))) {
					t.Errorf("%s with another byte %d: image %d is wrong", e.Name(), at, i)
				}
			})
		}
		if err := os.WriteFile(path, whole[:len(whole)/2], 0o644); err != nil {
			t.Fatal(err)
		}
		problems, err := Check(t.Context(), dir, nil)
		said := fmt.Sprint(problems, err)
		if len(problems) == 0 && err == nil || !strings.Contains(said, e.Name()) {
			t.Errorf("half of %s: %s", e.Name(), said)
		}
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// everything reads all that can be read of a pack.
func everything(dir string, f func(i int, b []byte, label int)) {
	m, err := ReadManifest(dir)
	if err != nil {
		return
	}
	for name := range m.Parts {
		p, err := m.Open(dir, name)
		if err != nil {
			continue
		}
		for i := range min(p.Len(), 1000) {
			if b, err := p.Bytes(i); err == nil {
				f(i, b, p.Label(i))
			}
			p.Name(i)
		}
		p.Close()
	}
}

// TestCutWhileOpen: a shard that shrinks under the mapping is an error, not
// the end of the program.
func TestCutWhileOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "set")
	w, err := NewWriter(dir, Manifest{Pixels: Raw, Width: 64, Height: 64, Channels: 3, Classes: three}, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(Train); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := w.Add(0, "", picture(i, 64*64)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	p := open(t, dir, Train)
	if err := os.Truncate(filepath.Join(dir, "train-00000.shard"), 5*3*64*64); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Bytes(2); err != nil {
		t.Error(err)
	}
	if _, err := p.Bytes(19); err == nil || !strings.Contains(err.Error(), "cannot be read any more") {
		t.Errorf("an image that is gone: %v", err)
	}
}

func FuzzManifest(f *testing.F) {
	good, err := os.ReadFile(filepath.Join(pack(f, Raw, map[string]int{Train: 3}), ManifestFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"ortrain-packed","version":1,"pixels":"file","channels":3,"classes":["a"],"parts":{"train":{"images":1}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &Manifest{}
		if json.Unmarshal(b, m) != nil || m.check() != nil {
			return
		}
		for _, p := range m.Parts {
			for _, s := range p.Shards {
				if strings.ContainsAny(s.Name, `/\`) || s.Name == ".." {
					t.Errorf("%q leads elsewhere", s.Name)
				}
			}
		}
	})
}

func FuzzIndex(f *testing.F) {
	for _, pixels := range []string{Raw, File} {
		b, err := os.ReadFile(filepath.Join(pack(f, pixels, map[string]int{Train: 9}), "train.index"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, 9, pixels == File)
	}
	f.Fuzz(func(t *testing.T, b []byte, images int, places bool) {
		if images < 0 || images > 1<<16 {
			return
		}
		x, err := parseIndex(b, images, places, 3)
		if err != nil {
			return
		}
		for i := range images {
			if x.label(i) > 2 {
				t.Fatalf("label %d", x.label(i))
			}
			x.span(i, 12)
			x.name(i)
			x.sum(i)
		}
	})
}

func BenchmarkBytes(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "set")
	w, err := NewWriter(dir, Manifest{Pixels: Raw, Width: 256, Height: 256, Channels: 3, Classes: three}, 1<<30)
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Begin(Train); err != nil {
		b.Fatal(err)
	}
	for i := range 64 {
		if err := w.Add(0, "", picture(i, 256*256)); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		b.Fatal(err)
	}
	p := open(b, dir, Train)
	b.SetBytes(256 * 256 * 3)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Bytes(rand.IntN(64)); err != nil {
			b.Fatal(err)
		}
	}
}

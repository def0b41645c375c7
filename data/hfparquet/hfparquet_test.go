package hfparquet

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const fixtures = "../../testdata/formats/"

// check reads row i of a fixture, image i of the script that made it.
func check(s *Set, row, i int) error {
	b, err := s.Bytes(row)
	if err != nil {
		return err
	}
	m, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		return err
	}
	r, g, bl, _ := m.At(0, 0).RGBA()
	if m.Bounds().Size() != image.Pt(5+i%4, 6) || int(r>>8) != 10*i || int(g>>8) != 255-10*i || int(bl>>8) != i {
		return fmt.Errorf("row %d is not image %d", row, i)
	}
	return nil
}

func TestFixtures(t *testing.T) {
	for _, name := range []string{"train-defaults.parquet", "train-v2.parquet", "train-plain.parquet"} {
		var labels []string
		// Twice the same file is a set of two files.
		s, err := Open([]string{fixtures + name, fixtures + name}, Options{}, func(l string, ok bool) {
			labels = append(labels, fmt.Sprintf("%s %v", l, ok))
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.Names, []string{"ant", "bee", "cow"}) || s.Len() != 48 {
			t.Errorf("%s: %d rows of classes %q", name, s.Len(), s.Names)
		}
		if name == "train-v2.parquet" && len(s.readers[0].pages) < 4 {
			t.Errorf("%s: only %d pages; the fixture is to have several", name, len(s.readers[0].pages))
		}
		for i := range s.Len() {
			if labels[i] != fmt.Sprintf("%d true", i%24%3) {
				t.Errorf("%s: row %d: label %s", name, i, labels[i])
			}
		}
		// At random, by several workers, with a cache that holds little.
		s.cache = newCache(600)
		var wg sync.WaitGroup
		for w := range uint64(4) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(w, 1))
				for range 200 {
					i := r.IntN(s.Len())
					if err := check(s, i, i%24); err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
				}
			})
		}
		wg.Wait()
		if want := fixtures + name + " row 3"; s.Name(27) != want {
			t.Errorf("row 27 is named %q, want %q", s.Name(27), want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMissing(t *testing.T) {
	var unlabelled []int
	n := 0
	s, err := Open([]string{fixtures + "train-missing.parquet"}, Options{}, func(_ string, ok bool) {
		if !ok {
			unlabelled = append(unlabelled, n)
		}
		n++
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !slices.Equal(unlabelled, []int{9}) {
		t.Errorf("rows without a label: %v", unlabelled)
	}
	for i := range s.Len() {
		err := check(s, i, i)
		if i == 5 || i == 7 {
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("row %d: the row holds no image", i)) {
				t.Errorf("row %d: %v", i, err)
			}
		} else if err != nil {
			t.Error(err)
		}
	}
}

func TestColumns(t *testing.T) {
	for _, c := range []struct {
		opt  Options
		want string
	}{
		{Options{Image: "picture"}, "no column of images (picture) among image, label"},
		{Options{Label: "kind"}, "no column of labels"},
		{Options{Image: "label"}, "holds no bytes"},
		{Options{Label: "image"}, "no single label"},
	} {
		if _, err := Open([]string{fixtures + "train-plain.parquet"}, c.opt, func(string, bool) {}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.opt, err, c.want)
		}
	}
}

// TestDamaged: changed bytes give errors or other contents, never a panic, and
// a file that is cut off is refused with its name.
func TestDamaged(t *testing.T) {
	for _, name := range []string{"train-defaults.parquet", "train-v2.parquet", "train-plain.parquet", "train-missing.parquet"} {
		b, err := os.ReadFile(fixtures + name)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(b); at += 2 {
			c := bytes.Clone(b)
			c[at] ^= byte(1 + at%255)
			readAll(c)
		}
		short := filepath.Join(t.TempDir(), "short.parquet")
		if err := os.WriteFile(short, b[:len(b)/2], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open([]string{short}, Options{}, func(string, bool) {}); err == nil || !strings.Contains(err.Error(), short) {
			t.Errorf("half of %s: %v", name, err)
		}
	}
}

// TestDamagedIsQuiet: reading damaged files writes nothing to the standard
// error, where the library would warn.
func TestDamagedIsQuiet(t *testing.T) {
	c := exec.Command(os.Args[0], "-test.run", "^TestDamaged$")
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Run(); err != nil || said.Len() > 0 {
		t.Errorf("%v; written to the standard error: %s", err, said.String())
	}
}

func readAll(b []byte) {
	s := &Set{cache: newCache(1 << 20)}
	if err := s.add("fuzz", bytes.NewReader(b), nil, int64(len(b)), Options{}, func(string, bool) {}); err != nil {
		return
	}
	for i := range min(s.Len(), 100) {
		s.Bytes(i)
	}
}

func FuzzOpen(f *testing.F) {
	for _, name := range []string{"train-defaults.parquet", "train-v2.parquet", "train-plain.parquet"} {
		b, err := os.ReadFile(fixtures + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) { readAll(b) })
}

// TestManglings: files with bytes changed and moved about, most in the footer,
// end in an error or other contents, soon.
func TestManglings(t *testing.T) {
	var files [][]byte
	for _, name := range []string{"train-defaults.parquet", "train-v2.parquet", "train-plain.parquet"} {
		b, err := os.ReadFile(fixtures + name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	r := rand.New(rand.NewPCG(1, 9))
	for range 3000 {
		b := bytes.Clone(files[r.IntN(len(files))])
		for range 1 + r.IntN(4) {
			switch r.IntN(3) {
			case 0:
				b[r.IntN(len(b))] = byte(r.Uint32())
			case 1:
				b[len(b)-1-r.IntN(min(len(b), 1500))] = byte(r.Uint32())
			case 2:
				copy(b[r.IntN(len(b)-8):], b[r.IntN(len(b)-8):][:1+r.IntN(8)])
			}
		}
		readAll(b)
	}
}

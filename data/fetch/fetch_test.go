package fetch

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// noise does not compress, so that sizes are what they seem.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func archive(t testing.TB, headers []*tar.Header, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag, h.Size, h.Mode = tar.TypeReg, int64(len(body)), 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			w.Write(body)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z.Close()
	return b.Bytes()
}

func sum(b []byte) string {
	s := md5.Sum(b)
	return hex.EncodeToString(s[:])
}

// server serves one file and misbehaves as told.
type server struct {
	*httptest.Server
	body []byte
	mu   sync.Mutex
	// answer handles request number n (from 0) with the offset asked for, and
	// reports whether it did.
	answer func(w http.ResponseWriter, n int, from int) bool
	asked  []string // the ranges
}

func serve(t *testing.T, body []byte, answer func(w http.ResponseWriter, n int, from int) bool) *server {
	s := &server{body: body, answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		n := len(s.asked)
		s.asked = append(s.asked, r.Header.Get("Range"))
		s.mu.Unlock()
		from := 0
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		if s.answer != nil && s.answer(w, n, from) {
			return
		}
		http.ServeContent(w, r, "file", time.Time{}, bytes.NewReader(body))
	}))
	t.Cleanup(s.Close)
	return s
}

// part answers with some bytes of the file and then drops the connection.
func (s *server) part(w http.ResponseWriter, from, n int) {
	w.Header().Set("Content-Length", fmt.Sprint(len(s.body)-from))
	if from > 0 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(s.body)-1, len(s.body)))
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write(s.body[from : from+n])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// set is a data set of one archive on a server.
func set(b []byte) *Set {
	return &Set{Name: "tiny", Home: "the authors' page", Folder: "tiny", Inside: "inner", MostUnpacked: mib, MostMembers: 10,
		Files: []File{{Name: "tiny.tgz", MD5: sum(b), Most: mib}}}
}

func options(s *server, root string, notes *[]string) Options {
	return Options{Root: root, Mirror: s.URL, Pause: time.Millisecond, Stall: 300 * time.Millisecond,
		Note: func(l string) { *notes = append(*notes, l) }}
}

func tiny(t testing.TB, body []byte) []byte {
	return archive(t, []*tar.Header{{Name: "inner/a.bin"}, {Name: "inner/sub/b.bin"}, {Name: "other/c.bin"}}, body)
}

func TestGet(t *testing.T) {
	body := noise(100_000)
	file := tiny(t, body)
	half := len(file) / 2
	for _, c := range []struct {
		name   string
		answer func(s *server) func(w http.ResponseWriter, n, from int) bool
		asked  []string
		noted  string
	}{
		{"in one piece", nil, []string{""}, ""},
		{"drops", func(s *server) func(http.ResponseWriter, int, int) bool {
			return func(w http.ResponseWriter, n, from int) bool {
				if n < 3 {
					s.part(w, from, 1000)
				}
				return false
			}
		}, []string{"", "bytes=1000-", "bytes=2000-", "bytes=3000-"}, "trying again"},
		{"stalls", func(s *server) func(http.ResponseWriter, int, int) bool {
			return func(w http.ResponseWriter, n, from int) bool {
				if n > 0 {
					return false
				}
				w.Header().Set("Content-Length", fmt.Sprint(len(file)))
				w.Write(file[:half])
				w.(http.Flusher).Flush()
				time.Sleep(600 * time.Millisecond)
				return true
			}
		}, []string{"", fmt.Sprintf("bytes=%d-", half)}, "sent nothing for"},
		{"does not know ranges", func(s *server) func(http.ResponseWriter, int, int) bool {
			return func(w http.ResponseWriter, n, from int) bool {
				if n == 0 {
					s.part(w, 0, half)
				}
				w.Write(file) // 200, from the beginning
				return true
			}
		}, []string{"", fmt.Sprintf("bytes=%d-", half)}, "trying again"},
		{"sends another range", func(s *server) func(http.ResponseWriter, int, int) bool {
			return func(w http.ResponseWriter, n, from int) bool {
				switch n {
				case 0:
					s.part(w, 0, half)
				case 1:
					s.part(w, 7, 100)
				}
				return false
			}
		}, []string{"", fmt.Sprintf("bytes=%d-", half), ""}, "another part"},
		{"corrupts once", func(s *server) func(http.ResponseWriter, int, int) bool {
			return func(w http.ResponseWriter, n, from int) bool {
				if n > 0 {
					return false
				}
				bad := bytes.Clone(file)
				bad[half] ^= 1
				w.Write(bad)
				return true
			}
		}, []string{"", ""}, "arrived damaged"},
		{"is busy", func(s *server) func(http.ResponseWriter, int, int) bool {
			return func(w http.ResponseWriter, n, from int) bool {
				if n < 2 {
					http.Error(w, "later", []int{500, 429}[n])
				}
				return n < 2
			}
		}, []string{"", "", ""}, "answers"},
	} {
		s := serve(t, file, nil)
		if c.answer != nil {
			s.answer = c.answer(s)
		}
		root := t.TempDir()
		var notes []string
		o := options(s, root, &notes)
		last := int64(0)
		o.Progress = func(name string, done, total int64) { last = done }
		dir, there, err := Get(t.Context(), set(file), o)
		if err != nil || there || dir != filepath.Join(root, "tiny") {
			t.Errorf("%s: %q, %v, %v", c.name, dir, there, err)
			continue
		}
		for _, name := range []string{"a.bin", "sub/b.bin"} {
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s: %s: %v", c.name, name, err)
			}
		}
		if !slices.Equal(s.asked, c.asked) {
			t.Errorf("%s: asked for %q, want %q", c.name, s.asked, c.asked)
		}
		if got := strings.Join(notes, "\n"); (c.noted == "") != (got == "") || !strings.Contains(got, c.noted) {
			t.Errorf("%s: noted %q, want %q", c.name, got, c.noted)
		}
		if last != int64(len(file)) {
			t.Errorf("%s: progress ended at %d", c.name, last)
		}
		if entries, _ := os.ReadDir(root); len(entries) != 1 {
			t.Errorf("%s: left behind: %v", c.name, entries)
		}
		if _, there, err := Get(t.Context(), set(file), o); !there || err != nil || len(s.asked) != len(c.asked) {
			t.Errorf("%s: again: %v, %v", c.name, there, err)
		}
	}
}

func TestGetFails(t *testing.T) {
	file := tiny(t, noise(50_000))
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter, n, from int) bool
		most   int64
		want   string
		asked  int
	}{
		{"404", func(w http.ResponseWriter, n, from int) bool { http.Error(w, "", 404); return true }, mib, "404 Not Found", 1},
		{"500", func(w http.ResponseWriter, n, from int) bool { http.Error(w, "", 500); return true }, mib, "500 Internal Server Error", 5},
		{"corrupts", func(w http.ResponseWriter, n, from int) bool { w.Write([]byte("<html>log in</html>")); return true }, mib, "not the published file", 2},
		{"too much", nil, 1000, "at most 1000 can be right", 1},
		{"endless", func(w http.ResponseWriter, n, from int) bool {
			for range 100 {
				w.Write(make([]byte, 10_000))
				w.(http.Flusher).Flush()
			}
			return true
		}, 100_000, "more than the 100000 bytes", 1},
	} {
		s := serve(t, file, c.answer)
		root := t.TempDir()
		var notes []string
		d := set(file)
		d.Files[0].Most = c.most
		d.Files[0].URLs = []string{"https://example.org/tiny.tgz"}
		_, _, err := Get(t.Context(), d, options(s, root, &notes))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "by hand, download https://example.org/tiny.tgz") ||
			!strings.Contains(err.Error(), root) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if len(s.asked) != c.asked {
			t.Errorf("%s: asked %d times, want %d", c.name, len(s.asked), c.asked)
		}
		if _, err := os.Stat(filepath.Join(root, "tiny")); err == nil {
			t.Errorf("%s: the folder is there", c.name)
		}
	}
}

// TestResume: what arrived before an interruption is not asked for again.
func TestResume(t *testing.T) {
	file := tiny(t, noise(50_000))
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, file, nil)
	s.answer = func(w http.ResponseWriter, n, from int) bool {
		if n > 0 {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(file)))
		w.Write(file[:20_000])
		w.(http.Flusher).Flush()
		time.Sleep(50 * time.Millisecond)
		cancel()
		time.Sleep(50 * time.Millisecond)
		return true
	}
	root := t.TempDir()
	var notes []string
	if _, _, err := Get(ctx, set(file), options(s, root, &notes)); err != context.Canceled {
		t.Fatalf("interrupted: %v", err)
	}
	if _, _, err := Get(t.Context(), set(file), options(s, root, &notes)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"", "bytes=20000-"}; !slices.Equal(s.asked, want) {
		t.Errorf("asked for %q, want %q", s.asked, want)
	}
}

// TestByHand: a file in the root is used if it is the right one.
func TestByHand(t *testing.T) {
	file := tiny(t, noise(1000))
	s := serve(t, file, nil)
	for _, right := range []bool{true, false} {
		root := t.TempDir()
		b := file
		if !right {
			b = []byte("something else")
		}
		if err := os.WriteFile(filepath.Join(root, "tiny.tgz"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		s.asked = nil
		var notes []string
		if _, _, err := Get(t.Context(), set(file), options(s, root, &notes)); err != nil {
			t.Fatal(err)
		}
		if (len(s.asked) == 0) != right || (len(notes) == 0) != right {
			t.Errorf("right %v: asked %q, noted %q", right, s.asked, notes)
		}
		if _, err := os.Stat(filepath.Join(root, "tiny.tgz")); err != nil {
			t.Error("the file placed by hand is gone")
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	body := noise(100)
	for _, c := range []struct {
		name    string
		headers []*tar.Header
		want    string
	}{
		{"parent", []*tar.Header{{Name: "inner/../../evil"}}, "leads out"},
		{"absolute", []*tar.Header{{Name: "/etc/evil"}}, "leads out"},
		{"link", []*tar.Header{{Name: "inner/x", Typeflag: tar.TypeSymlink, Linkname: "/etc"}}, "a link"},
		{"hard link", []*tar.Header{{Name: "inner/x", Typeflag: tar.TypeLink, Linkname: "inner/y"}}, "a link"},
		{"device", []*tar.Header{{Name: "inner/x", Typeflag: tar.TypeChar}}, "a device"},
		{"twice", []*tar.Header{{Name: "inner/x"}, {Name: "inner/x"}}, "exists"},
		{"many", func() (h []*tar.Header) {
			for i := range 11 {
				h = append(h, &tar.Header{Name: fmt.Sprint("inner/", i)})
			}
			return h
		}(), "more than 10 files"},
	} {
		dir := t.TempDir()
		err := set(nil).unpack(t.Context(), bytes.NewReader(archive(t, c.headers, body)), dir)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	// 4 MiB of zeros in a few kilobytes.
	bomb := archive(t, []*tar.Header{{Name: "inner/zeros"}}, make([]byte, 4*mib))
	if err := set(nil).unpack(t.Context(), bytes.NewReader(bomb), t.TempDir()); err == nil || !strings.Contains(err.Error(), "more than 1 MiB") {
		t.Errorf("a bomb of %d bytes: %v", len(bomb), err)
	}
	for _, b := range [][]byte{nil, []byte("text"), tiny(t, body)[:60]} {
		if err := set(nil).unpack(t.Context(), bytes.NewReader(b), t.TempDir()); err == nil {
			t.Errorf("%d bytes that are no archive", len(b))
		}
	}
}

func TestSets(t *testing.T) {
	for _, name := range Names() {
		s, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range s.Files {
			if b, err := hex.DecodeString(f.MD5); err != nil || len(b) != md5.Size || len(f.URLs) == 0 || f.Most < mib || !strings.HasSuffix(f.URLs[0], f.Name) {
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
	if _, err := Lookup("cifar"); err == nil || !strings.Contains(err.Error(), `"cifar10"`) {
		t.Errorf("cifar: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(tiny(f, noise(100)))
	f.Add(archive(f, []*tar.Header{{Name: "inner/../../evil"}}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		set(nil).unpack(t.Context(), bytes.NewReader(b), dir)
		entries, err := os.ReadDir(filepath.Dir(dir))
		if err != nil || len(entries) != 1 {
			t.Fatalf("beside the folder: %v, %v", entries, err)
		}
	})
}

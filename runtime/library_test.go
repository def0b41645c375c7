package runtime

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
)

// buildLibrary compiles C source to a shared library. cgo needs a C compiler
// to build this very package, so there is one.
func buildLibrary(t testing.TB, path, source string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	cc := "cc"
	if v := os.Getenv("CC"); v != "" {
		cc = v
	}
	cmd := exec.Command(cc, "-shared", "-fPIC", "-x", "c", "-o", path, "-")
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// fake is the source of a library that says it is an ONNX Runtime.
func fake(version string) string {
	return `
static const void *api(unsigned v) { return 0; }
static const char *version(void) { return "` + version + `"; }
static const struct { const void *(*a)(unsigned); const char *(*v)(void); } base = {api, version};
const void *OrtGetApiBase(void) { return &base; }
`
}

// emptySearch finds nothing by itself.
func emptySearch(env map[string]string) *search {
	return &search{getenv: func(k string) string { return env[k] }, probe: probeVersion, systemDirs: func() []string { return nil }}
}

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	good := buildLibrary(t, filepath.Join(dir, "good.so"), fake("1.30.0"))
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := slices.Clone(content)
	binary.LittleEndian.PutUint16(foreign[18:], 183) // e_machine: AArch64
	machine := "AArch64; this machine needs x86-64"
	if goruntime.GOARCH == "arm64" {
		binary.LittleEndian.PutUint16(foreign[18:], 62)
		machine = "x86-64; this machine needs AArch64"
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, version, says string }{
		{good, "1.30.0", ""},
		{buildLibrary(t, filepath.Join(dir, "oldest.so"), fake("1.24.0")), "1.24.0", ""},
		{buildLibrary(t, filepath.Join(dir, "dev.so"), fake("1.31.0-dev")), "1.31.0-dev", ""},
		{buildLibrary(t, filepath.Join(dir, "two.so"), fake("2.0.0")), "2.0.0", ""},
		{buildLibrary(t, filepath.Join(dir, "old.so"), fake("1.19.2")), "1.19.2", "is ONNX Runtime 1.19.2, too old: 1.24.0 or newer is needed"},
		{buildLibrary(t, filepath.Join(dir, "odd.so"), fake("banana")), "", `reports the version "banana"`},
		{buildLibrary(t, filepath.Join(dir, "other.so"), "int f(void) { return 1; }"), "", "is not ONNX Runtime: it does not export OrtGetApiBase"},
		{buildLibrary(t, filepath.Join(dir, "needs.so"), "int g(void); void *OrtGetApiBase(void) { return (void *)g(); } int x = sizeof(g()); int (*p)(void) = g;"), "", "cannot be loaded: "},
		{write("foreign.so", foreign), "", "is a library for " + machine},
		{write("half.so", content[:len(content)/2]), "", "not a shared library, or cut short"},
		{write("text.so", []byte("INPUT(libonnxruntime.so.1)\n")), "", "not a shared library, or cut short"},
		{write("empty.so", nil), "", "not a shared library, or cut short"},
		{executable, "", "is not ONNX Runtime"},
		{dir, "", "is a folder, not a library; name the file, such as "},
		{filepath.Join(dir, "none.so"), "", "does not exist"},
	} {
		got := emptySearch(nil).examine(c.path, "test")
		if c.says == "" && got.Problem != "" || !strings.Contains(got.Problem, c.says) {
			t.Errorf("%s: %q; want %q", filepath.Base(c.path), got.Problem, c.says)
		}
		if c.says == "" && got.Version != c.version {
			t.Errorf("%s: version %q, want %q", filepath.Base(c.path), got.Version, c.version)
		}
		if strings.Contains(got.Problem, "\n") || got.Problem != "" && !strings.HasPrefix(got.Problem, c.path) {
			t.Errorf("%s: message %q", filepath.Base(c.path), got.Problem)
		}
	}
}

func TestUnreadableLibrary(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read every file")
	}
	path := buildLibrary(t, filepath.Join(t.TempDir(), "x.so"), fake("1.30.0"))
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if got := emptySearch(nil).examine(path, "test"); !strings.Contains(got.Problem, "cannot be read: permission denied") {
		t.Errorf("message %q", got.Problem)
	}
}

func TestSearchOrder(t *testing.T) {
	root := t.TempDir()
	s := emptySearch(map[string]string{})
	s.workDir = filepath.Join(root, "project", "deep", "down")
	s.executable = filepath.Join(root, "install", "bin", "ortrain")
	s.userCache = filepath.Join(root, "home")
	system := filepath.Join(root, "lib")
	s.systemDirs = func() []string { return []string{system} }
	if err := os.MkdirAll(s.workDir, 0o755); err != nil {
		t.Fatal(err)
	}
	expect := func(path, version, source string) {
		t.Helper()
		lib, err := s.find("")
		if err != nil || lib != (Library{path, version, source}) {
			t.Errorf("found %+v, %v; want %s", lib, err, path)
		}
	}

	_, err := s.find("")
	if !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), "make setup") || !strings.Contains(err.Error(), LibraryEnv) ||
		!strings.Contains(err.Error(), s.workDir) || strings.Contains(err.Error(), "\n") {
		t.Errorf("with no library: %v", err)
	}

	// Each library found is of less and less remote a place.
	old := buildLibrary(t, filepath.Join(system, "libonnxruntime.so.1"), fake("1.20.0"))
	_, err = s.find("")
	if err == nil || !strings.Contains(err.Error(), old+" is ONNX Runtime 1.20.0, too old") || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("with an old library: %v", err)
	}
	lib := buildLibrary(t, filepath.Join(system, "libonnxruntime.so.1.25.1"), fake("1.25.1"))
	expect(lib, "1.25.1", "system")
	lib = buildLibrary(t, filepath.Join(s.userCache, "ortrain", "onnxruntime", "1.26.0", LibraryFile), fake("1.26.0"))
	expect(lib, "1.26.0", "user cache")
	lib = buildLibrary(t, filepath.Join(root, "install", ".cache", "onnxruntime", "1.30.0", LibraryFile), fake("1.30.0"))
	expect(lib, "1.30.0", "beside the executable")
	cache := filepath.Join(root, "project", ".cache", "onnxruntime")
	lib = buildLibrary(t, filepath.Join(cache, "1.29.0", LibraryFile), fake("1.29.0"))
	expect(lib, "1.29.0", "project cache")
	buildLibrary(t, filepath.Join(cache, "1.31.0", LibraryFile), fake("1.31.0"))
	pinned := buildLibrary(t, filepath.Join(cache, PinnedVersion, LibraryFile), fake(PinnedVersion))
	expect(pinned, PinnedVersion, "project cache")

	// A file that does not fit is passed over, and reported.
	if err := os.WriteFile(pinned, []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	expect(filepath.Join(cache, "1.31.0", LibraryFile), "1.31.0", "project cache")
	_, examined, err := s.run("", true)
	if err != nil || len(examined) != 7 || examined[0].Problem == "" || examined[1].Problem != "" {
		t.Errorf("examined %+v, %v", examined, err)
	}

	// What is named is taken or refused.
	env := map[string]string{LibraryEnv: pinned}
	s.getenv = func(k string) string { return env[k] }
	if _, err := s.find(""); err == nil || !strings.Contains(err.Error(), pinned) {
		t.Errorf("a damaged library in the environment: %v", err)
	}
	env[LibraryEnv] = lib
	expect(lib, "1.29.0", LibraryEnv)
	got, err := s.find(old)
	if err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("an old library given explicitly: %+v, %v", got, err)
	}
}

func TestRelativePathBecomesAbsolute(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	buildLibrary(t, "here.so", fake("1.30.0"))
	lib, err := emptySearch(nil).find("here.so")
	if err != nil || !filepath.IsAbs(lib.Path) {
		t.Errorf("%+v, %v", lib, err)
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string][3]int{"1.30.0": {1, 30, 0}, "1.24": {1, 24, 0}, "1.31.0-dev-2026": {1, 31, 0}, "1.22.2.post1": {1, 22, 2}} {
		if got, ok := parseVersion(text); got != want || !ok {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, text := range []string{"", "1", "a.b", "1..2", "1.9999999999999999999", "-1.2", "1.2.3.4.5", "latest"} {
		if got, ok := parseVersion(text); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func FuzzInspectELF(f *testing.F) {
	dir := f.TempDir()
	content, err := os.ReadFile(buildLibrary(f, filepath.Join(dir, "x.so"), fake("1.30.0")))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	f.Add(content[:100])
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "x.so")
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := inspectELF(path); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q", err)
		}
	})
}

func TestPhysicalCores(t *testing.T) {
	dir := t.TempDir()
	for cpu, siblings := range map[string]string{"cpu0": "0,2\n", "cpu1": "1,3\n", "cpu2": "0,2\n", "cpu3": "1,3\n"} {
		topology := filepath.Join(dir, cpu, "topology")
		if err := os.MkdirAll(topology, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(topology, "thread_siblings_list"), []byte(siblings), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if n := physicalCores(dir); n != 2 {
		t.Errorf("%d cores, want 2", n)
	}
	if n := physicalCores(filepath.Join(dir, "none")); n != 0 {
		t.Errorf("%d cores where nothing is told", n)
	}
	if n := DefaultThreads(); n < 1 || n > goruntime.NumCPU() {
		t.Errorf("%d threads by default", n)
	}
}

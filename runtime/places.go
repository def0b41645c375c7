package runtime

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// place is a folder that may hold the library, under the names given.
type place struct {
	dir    string
	source string
	names  []string // glob patterns, in order of preference
}

// cacheSubdir is the folder of the installer below a project or cache root.
var cacheSubdir = filepath.Join(".cache", "onnxruntime")

// cacheSubdirCUDA is that of libraries with the CUDA provider.
var cacheSubdirCUDA = filepath.Join(".cache", "onnxruntime-cuda")

// CUDACacheDir is CacheDir for a library with the CUDA provider.
func CUDACacheDir(root, version string) string {
	return filepath.Join(root, cacheSubdirCUDA, version)
}

// CacheDir returns the folder below root (a project's folder) that the
// installer fills with one version of the library.
func CacheDir(root, version string) string {
	return filepath.Join(root, cacheSubdir, version)
}

var (
	cacheNames  = []string{LibraryFile, "libonnxruntime.so", "libonnxruntime.*.dylib"}
	systemNames = []string{"libonnxruntime.so.1", "libonnxruntime.so", "libonnxruntime.so.1.*", "libonnxruntime.dylib"}
)

// files lists the existing files of a place, best first.
func (p place) files() []string {
	var out []string
	for _, name := range p.names {
		matches, err := filepath.Glob(filepath.Join(globEscape(p.dir), name))
		if err != nil {
			continue
		}
		slices.SortFunc(matches, func(a, b string) int { return -compareVersions(filepath.Base(a), filepath.Base(b)) })
		out = append(out, matches...)
	}
	return out
}

// globEscape keeps folder names with pattern characters literal.
func globEscape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// compareVersions orders folder or file names by the version they hold: the
// pinned one last (greatest), then by number, then by name.
func compareVersions(a, b string) int {
	if a == b {
		return 0
	}
	if a == PinnedVersion {
		return 1
	}
	if b == PinnedVersion {
		return -1
	}
	va, _ := parseVersion(strings.TrimPrefix(a, "libonnxruntime.so."))
	vb, _ := parseVersion(strings.TrimPrefix(b, "libonnxruntime.so."))
	if c := slices.Compare(va[:], vb[:]); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// places lists where to look, in order.
func (s *search) places() []place {
	var out []place
	if s.workDir != "" {
		for dir := s.workDir; ; dir = filepath.Dir(dir) {
			for _, sub := range s.folders() {
				out = append(out, versions(filepath.Join(dir, sub), "project cache")...)
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	if s.executable != "" {
		bin := filepath.Dir(s.executable)
		for _, dir := range []string{bin, filepath.Dir(bin)} {
			for _, sub := range s.folders() {
				out = append(out, versions(filepath.Join(dir, sub), "beside the executable")...)
			}
		}
		out = append(out, place{bin, "beside the executable", cacheNames})
	}
	if s.userCache != "" {
		out = append(out, versions(s.userCacheDir(), "user cache")...)
	}
	for _, dir := range s.systemDirs() {
		out = append(out, place{dir, "system", systemNames})
	}
	return dedupe(out)
}

// folders lists the cache folders below a root.
func (s *search) folders() []string {
	if s.beside != "" {
		return []string{cacheSubdirCUDA, cacheSubdir}
	}
	return []string{cacheSubdir}
}

// versions lists the version folders below dir, the pinned one first, then
// the newest.
func versions(dir, source string) []place {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if _, ok := parseVersion(e.Name()); ok {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return -compareVersions(a, b) })
	var out []place
	for _, n := range names {
		out = append(out, place{filepath.Join(dir, n), source, cacheNames})
	}
	return out
}

func (s *search) userCacheDir() string {
	return filepath.Join(s.userCache, "ortrain", "onnxruntime")
}

func dedupe(ps []place) []place {
	seen := map[string]bool{}
	return slices.DeleteFunc(ps, func(p place) bool {
		dup := seen[p.dir]
		seen[p.dir] = true
		return dup
	})
}

// loaderDirs returns the folders the dynamic loader searches: LD_LIBRARY_PATH,
// those of the loader's cache that hold an ONNX Runtime, and the usual ones.
func loaderDirs() []string {
	var dirs []string
	for _, d := range filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")) {
		if d != "" {
			dirs = append(dirs, d)
		}
	}
	dirs = append(dirs, loaderCacheDirs()...)
	dirs = append(dirs, "/usr/local/lib", "/usr/local/lib64", "/usr/lib", "/usr/lib64", "/opt/onnxruntime/lib")
	if triplets, err := filepath.Glob("/usr/lib/*-linux-gnu"); err == nil {
		dirs = append(dirs, triplets...)
	}
	return dirs
}

// loaderCacheDirs asks ldconfig for folders with an ONNX Runtime. Systems
// without ldconfig simply have none.
func loaderCacheDirs() []string {
	tool, err := exec.LookPath("ldconfig")
	if err != nil {
		tool = "/sbin/ldconfig" // not in every user's PATH
	}
	out, err := exec.Command(tool, "-p").Output()
	if err != nil {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(out)) {
		name, path, ok := strings.Cut(strings.TrimSpace(line), " => ")
		if ok && strings.HasPrefix(name, "libonnxruntime.so") {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	return dirs
}

// Package runtime executes artifact sets on a stock ONNX Runtime: it finds
// and checks the library, opens sessions, trains, evaluates, and keeps
// checkpoints.
//
// A program finds the library once (FindLibrary), opens it once (Open), and
// then makes as many trainers, evaluators and classifiers as it likes. The
// package knows artifacts and numbers; where images come from and which
// hyper-parameters are fed is the caller's business.
package runtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/lower"
)

const (
	// PinnedVersion is the ONNX Runtime release this project is tested with
	// and that its installer fetches.
	PinnedVersion = "1.30.0"
	// MinVersion is the oldest release that serves the C API version the Go
	// binding asks for (24).
	MinVersion = "1.24.0"
	// LibraryEnv names the environment variable that points at the library.
	LibraryEnv = "ORTRAIN_ONNXRUNTIME"
	// LibraryFile is the library's file name in the cache folders.
	LibraryFile = "libonnxruntime.so.1"
)

// Install says how to get a library; messages about a missing or unfit one
// end with it.
const Install = "type 'make setup' to fetch ONNX Runtime " + PinnedVersion +
	", or set " + LibraryEnv + " to a libonnxruntime.so of version " + MinVersion + " or newer"

// ErrNoLibrary is wrapped by the error of FindLibrary when nothing was found.
var ErrNoLibrary = errors.New("no ONNX Runtime library found")

// Library is a verified ONNX Runtime shared library.
type Library struct {
	// Path is absolute.
	Path string `json:"path"`
	// Version is the library's own, as in "1.30.0".
	Version string `json:"version"`
	// Source says which place it was found in, for people.
	Source string `json:"source"`
}

// Candidate is a file that was examined during the search.
type Candidate struct {
	Path    string `json:"path"`
	Source  string `json:"source"`
	Version string `json:"version,omitempty"`
	// Problem says why the file cannot be used; empty if it can.
	Problem string `json:"problem,omitempty"`

	err error
}

// FindLibrary returns the ONNX Runtime library to use. A path given
// explicitly (a flag, a recipe) or by the environment variable LibraryEnv is
// taken or refused, never replaced by another. Otherwise the first fitting
// one wins of: .cache/onnxruntime beside the working directory or a parent,
// beside the executable, the user's cache folder, the system's loader paths.
//
// Every file is verified before use: a shared library for this machine that
// exports OrtGetApiBase, loads, and is of MinVersion or newer. Errors are one
// line that names the file and says what to do.
func FindLibrary(explicit string) (Library, error) {
	return newSearch().find(explicit)
}

// FindLibraryFor is FindLibrary for a library with an execution provider. For
// "cuda" it looks in .cache/onnxruntime-cuda as well, and first, and takes only
// a file that the provider lies beside.
func FindLibraryFor(provider, explicit string) (Library, error) {
	return newSearch().with(provider).find(explicit)
}

// with makes the search one for a library with a provider.
func (s *search) with(provider string) *search {
	if provider == lower.CUDA {
		s.beside = CUDAProviderFile
	}
	return s
}

// search holds what the search depends on, so that tests can replace it.
type search struct {
	getenv     func(string) string
	workDir    string
	executable string
	userCache  string
	systemDirs func() []string
	// probe loads the library and returns the version it reports.
	probe func(path string) (string, error)
	// beside is the file that must lie beside the library, if any.
	beside string
}

func newSearch() *search {
	s := &search{getenv: os.Getenv, probe: probeVersion, systemDirs: loaderDirs}
	s.workDir, _ = os.Getwd()
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		s.executable = exe
	}
	s.userCache, _ = os.UserCacheDir()
	return s
}

func (s *search) find(explicit string) (Library, error) {
	lib, examined, err := s.run(explicit, false)
	if err == nil {
		return lib, nil
	}
	if len(examined) > 0 {
		// Something is installed but does not fit: its defect is the news.
		return Library{}, fmt.Errorf("%w; %s", examined[0].err, s.install())
	}
	return Library{}, err
}

// run looks through the places in order. It stops at the first fitting
// library unless all is set, and returns what it examined on the way.
func (s *search) run(explicit string, all bool) (Library, []Candidate, error) {
	given, source := explicit, "given path"
	if given == "" {
		given, source = s.getenv(LibraryEnv), LibraryEnv
	}
	if given != "" {
		c := s.examine(given, source)
		if c.err != nil {
			return Library{}, []Candidate{c}, fmt.Errorf("%s: %w; %s", source, c.err, s.install())
		}
		return c.library(), []Candidate{c}, nil
	}
	var found *Candidate
	var examined []Candidate
	seen := map[string]bool{}
	for _, p := range s.places() {
		for _, path := range p.files() {
			key := path
			if real, err := filepath.EvalSymlinks(path); err == nil {
				key = real
			}
			if seen[key] {
				continue
			}
			seen[key] = true
			c := s.examine(path, p.source)
			examined = append(examined, c)
			if c.err == nil && found == nil {
				found = &c
				if !all {
					return c.library(), examined, nil
				}
			}
		}
	}
	if found != nil {
		return found.library(), examined, nil
	}
	return Library{}, examined, fmt.Errorf("%w (looked in %s); %s", ErrNoLibrary, s.where(), s.install())
}

// install says how to get what is looked for.
func (s *search) install() string {
	if s.beside != "" {
		return InstallCUDA + ", or set " + LibraryEnv + " to a libonnxruntime.so that has it"
	}
	return Install
}

// where describes the places for a message, whether they exist or not.
func (s *search) where() string {
	var list []string
	if s.workDir != "" {
		list = append(list, filepath.Join(s.workDir, s.folders()[0])+" and above")
	}
	if s.executable != "" {
		list = append(list, "beside "+s.executable)
	}
	if s.userCache != "" {
		list = append(list, s.userCacheDir())
	}
	return strings.Join(append(list, "the system's library folders"), ", ")
}

func (c Candidate) library() Library {
	return Library{Path: c.Path, Version: c.Version, Source: c.Source}
}

// examine verifies one file.
func (s *search) examine(path, source string) Candidate {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	c := Candidate{Path: path, Source: source}
	c.Version, c.err = s.verify(path)
	if c.err != nil {
		c.Problem = c.err.Error()
	}
	return c
}

// verify checks the file from the outside in, so that an unfit library is
// recognised without loading it: two ONNX Runtimes of different versions in
// one process may share C++ symbols and misbehave.
func (s *search) verify(path string) (version string, err error) {
	st, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("%s does not exist", path)
		}
		return "", fmt.Errorf("%s cannot be read: %w", path, atomicfile.Cause(err))
	}
	if st.IsDir() {
		return "", fmt.Errorf("%s is a folder, not a library; name the file, such as %s",
			path, filepath.Join(path, LibraryFile))
	}
	if s.beside != "" {
		real := path
		if r, err := filepath.EvalSymlinks(path); err == nil {
			real = r
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(real), s.beside)); err != nil {
			return "", fmt.Errorf("%s is built for the CPU: there is no %s beside it", path, s.beside)
		}
	}
	if goruntime.GOOS == "linux" {
		version, err = inspectELF(path)
		if err != nil {
			return version, err
		}
		if err := checkVersion(path, version); err != nil {
			return version, err
		}
	}
	reported, err := s.probe(path)
	if err != nil {
		return version, err
	}
	return reported, checkVersion(path, reported)
}

// checkVersion refuses a version older than MinVersion; an empty version
// (not known yet) passes.
func checkVersion(path, version string) error {
	if version == "" {
		return nil
	}
	have, ok := parseVersion(version)
	if !ok {
		return fmt.Errorf("%s reports the version %q, which is none of ONNX Runtime", path, version)
	}
	need, _ := parseVersion(MinVersion)
	for i := range have {
		if have[i] != need[i] {
			if have[i] < need[i] {
				return fmt.Errorf("%s is ONNX Runtime %s, too old: %s or newer is needed", path, version, MinVersion)
			}
			return nil
		}
	}
	return nil
}

// parseVersion reads "1.30.0", also with a suffix such as "1.30.0-dev".
func parseVersion(s string) (v [3]int, ok bool) {
	if i := strings.IndexAny(s, "-+"); i >= 0 {
		s = s[:i]
	}
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return v, false
	}
	for i, p := range parts {
		if i == 3 {
			break
		}
		if p == "" || len(p) > 6 {
			return v, false
		}
		for _, c := range p {
			if c < '0' || c > '9' {
				return v, false
			}
			v[i] = 10*v[i] + int(c-'0')
		}
	}
	return v, true
}

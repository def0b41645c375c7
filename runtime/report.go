package runtime

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
)

// Report is what a person needs to see when execution does not work as
// expected.
type Report struct {
	// Library is the one that FindLibrary would return; Problem says in one
	// line why there is none, and what to do.
	Library Library `json:"library"`
	Problem string  `json:"problem,omitempty"`
	// Candidates are all files that were examined, in order of preference.
	Candidates []Candidate `json:"candidates"`
	// Providers are the execution providers built into the library.
	Providers []string `json:"providers"`
	Pinned    string   `json:"pinned_version"`
	Minimum   string   `json:"minimum_version"`
	Platform  string   `json:"platform"`
	CPU       string   `json:"cpu"`
	// Kernels is the file of the provider's kernel library, empty where there is none;
	// KernelsProblem says what is wrong with one that is there.
	Kernels        string `json:"kernels"`
	KernelsProblem string `json:"kernels_problem,omitempty"`
	// Threads is what sessions use when they are not told (DefaultThreads).
	Threads int `json:"threads"`
}

// Examine looks for the library as FindLibraryFor does, but goes through every
// place and reports on each file. It loads libraries that look fit, and so
// should run in a process that has not opened one, as a diagnosis does.
func Examine(provider, explicit string) Report {
	s := newSearch().with(provider)
	r := Report{
		Pinned: PinnedVersion, Minimum: MinVersion,
		Platform: goruntime.GOOS + "/" + goruntime.GOARCH,
		CPU:      CPUName(), Threads: DefaultThreads(),
	}
	if k, err := FindKernels(provider); err == nil {
		r.Kernels = k.Path
	} else if !errors.Is(err, ErrNoKernels) {
		r.KernelsProblem = err.Error()
	}
	_, r.Candidates, _ = s.run(explicit, true)
	lib, err := s.find(explicit)
	if err != nil {
		r.Problem = err.Error()
		return r
	}
	r.Library = lib
	if r.Providers, err = probeProviders(lib.Path); err != nil {
		r.Problem = err.Error()
	}
	return r
}

// CPUName returns the processor's model as the system names it, or the
// architecture if it does not.
func CPUName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return goruntime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return goruntime.GOARCH
}

// DefaultThreads returns the number of threads a session uses when it is not
// told: one for each physical core, but no more than the process may use
// (GOMAXPROCS, which honours a container's limits). Two threads on one core
// share its arithmetic units and only get in each other's way.
func DefaultThreads() int {
	n := goruntime.GOMAXPROCS(0)
	if cores := physicalCores("/sys/devices/system/cpu"); cores > 0 {
		n = min(n, cores)
	}
	return n
}

// physicalCores counts distinct cores below the system's cpu folder; 0 when
// the system does not tell.
func physicalCores(dir string) int {
	files, err := filepath.Glob(filepath.Join(dir, "cpu[0-9]*", "topology", "thread_siblings_list"))
	if err != nil {
		return 0
	}
	cores := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return 0
		}
		cores[strings.TrimSpace(string(b))] = true
	}
	return len(cores)
}

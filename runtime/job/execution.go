package job

import (
	"cmp"
	"errors"

	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/recipe"
	"github.com/ortrain/ortrain/tricks/strict"
)

// Execution says what runs a job's models: the same for every job without a
// recipe, whose own keys say it in those with one. The zero value is the CPU
// with a thread per core.
type Execution struct {
	// Provider is the execution provider, "cpu" (also the meaning of nothing) or
	// "cuda".
	Provider string
	// CUDA sets up provider cuda.
	CUDA recipe.CUDA
	// Threads is the number of threads that run a model; 0 means one per core.
	Threads int
	// Library is an explicit path of the ONNX Runtime library, or empty.
	Library string
}

// Check reports mistakes by the names of the recipe's keys. Nothing is opened.
func (e Execution) Check() error {
	if err := runtime.CheckProvider(e.Provider); err != nil {
		return strict.Within("provider", err)
	}
	return e.CUDA.Check(cmp.Or(e.Provider, lower.CPU))
}

// open finds and opens the library, examines the provider and returns the
// options of its sessions.
func (e Execution) open() (runtime.Options, error) {
	if err := e.Check(); err != nil {
		return runtime.Options{}, err
	}
	_, err := openLibraryFor(e.Provider, e.CUDA.Device, e.Library)
	return e.sessions(), err
}

// sessions are the options of the models' sessions.
func (e Execution) sessions() runtime.Options {
	return runtime.Options{Provider: e.Provider, CUDA: cudaOptions(e.CUDA), Threads: e.Threads}
}

// take makes a recipe's models run this way, whatever it said itself.
func (e Execution) take(r *recipe.Recipe) {
	r.Provider, r.CUDA, r.Threads = cmp.Or(e.Provider, lower.CPU), e.CUDA, e.Threads
}

// sessions are the options under which a recipe's models run.
func sessions(r *recipe.Recipe) runtime.Options {
	return Execution{Provider: r.Provider, CUDA: r.CUDA, Threads: r.Threads}.sessions()
}

// teacherSessions are the options under which a recipe's teachers run: those of
// the network, unless the recipe says otherwise.
func teacherSessions(r *recipe.Recipe) runtime.Options {
	o := sessions(r)
	o.Provider, o.Threads = cmp.Or(r.Teacher.Provider, r.Provider), cmp.Or(r.Teacher.Threads, r.Threads)
	return o
}

// cudaOptions returns the options of provider cuda.
func cudaOptions(c recipe.CUDA) runtime.CUDA {
	return runtime.CUDA{
		Device: c.Device, MemoryLimit: c.MemoryLimit(), HeuristicSearch: c.ConvolutionSearch == recipe.Heuristic,
		NoTF32: c.TF32 != nil && !*c.TF32, Fallback: c.Fallback == lower.CPU,
	}
}

// openLibrary finds and opens ONNX Runtime for the CPU.
func openLibrary(explicit string) (runtime.Library, error) {
	return openLibraryFor(lower.CPU, 0, explicit)
}

// libraryFor finds and opens an ONNX Runtime with the providers of a recipe,
// and examines whether they work.
func libraryFor(r *recipe.Recipe, explicit string) (runtime.Library, error) {
	provider := r.Provider
	if r.Teacher.Provider == lower.CUDA {
		provider = lower.CUDA
	}
	return openLibraryFor(provider, r.CUDA.Device, explicit)
}

// openLibraryFor finds and opens an ONNX Runtime with a provider, and examines
// whether that works with a device.
func openLibraryFor(provider string, device int, explicit string) (runtime.Library, error) {
	lib, err := runtime.FindLibraryFor(provider, explicit)
	if err != nil {
		return lib, err
	}
	if err := runtime.Open(lib); err != nil {
		return lib, err
	}
	// A kernel library that is there and does not work is not passed over in
	// silence.
	if _, err := runtime.FindKernels(provider); err != nil && !errors.Is(err, runtime.ErrNoKernels) {
		return lib, err
	}
	if provider == lower.CUDA {
		return lib, runtime.CheckCUDA(lib, device)
	}
	return lib, nil
}

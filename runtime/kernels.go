package runtime

/*
#include <dlfcn.h>
#include <string.h>
#include "ortapi.h"

// A kernel library's two functions.
typedef int (*kernelsVersion)(void);
typedef void *(*registerOps)(void *options, const void *base);

static int callVersion(void *f) { return ((kernelsVersion)f)(); }

// registerKernels adds the library's operators to session options; it returns
// NULL, or a message that the caller frees.
static char *registerKernels(void *getApiBase, void *registerCustomOps, void *options) {
	void *const *api = ortTable(getApiBase);
	void *status = ((registerOps)registerCustomOps)(options, ortBase(getApiBase));
	if (status == NULL) return NULL;
	char *message = strdup(((const char *(*)(const void *))api[ortGetErrorMessage])(status));
	ortRelease(api, status);
	return message;
}
*/
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ortrain/ortrain/graphs/lower"
)

// kernelLibrary tells of a provider's kernel library where it comes from and how it
// is recognised.
type kernelLibrary struct {
	// file is its file name, variable the environment's that names it or says
	// "none" to do without one; target makes it, version is its function that
	// tells the version of the contract.
	file, variable, target, version string
}

var kernelLibraries = map[string]kernelLibrary{
	lower.CPU:  {"libortrain_kernels.so", "ORTRAIN_KERNELS", "make kernels", "OrtrainKernelsVersion"},
	lower.CUDA: {"libortrain_kernels_cuda.so", "ORTRAIN_KERNELS_CUDA", "make kernels-cuda", "OrtrainCUDAKernelsVersion"},
}

// Kernels is a library of operators for a provider, which 'make kernels' or 'make
// kernels-cuda' builds (runtime/kernels). It is loaded once and stays.
type Kernels struct {
	// Path is the library's file.
	Path     string
	register unsafe.Pointer
}

// ErrNoKernels is what the error of FindKernels wraps where there is no kernel
// library.
var ErrNoKernels = errors.New("there is no kernel library")

var loadKernels = map[string]func() (*Kernels, error){
	lower.CPU:  sync.OnceValues(func() (*Kernels, error) { return kernelLibraries[lower.CPU].find() }),
	lower.CUDA: sync.OnceValues(func() (*Kernels, error) { return kernelLibraries[lower.CUDA].find() }),
}

// FindKernels loads the kernel library of a provider: the one that ORTRAIN_KERNELS
// (for cuda ORTRAIN_KERNELS_CUDA) names, or one in .cache/kernels of the working
// folder or above it, beside the program, or in the user's cache. The error wraps
// ErrNoKernels where there is none; a library that does not load, or is of another
// version, is another error.
func FindKernels(provider string) (*Kernels, error) {
	return loadKernels[cmp.Or(provider, lower.CPU)]()
}

// KernelsTarget is the command that builds a provider's kernel library.
func KernelsTarget(provider string) string {
	return kernelLibraries[cmp.Or(provider, lower.CPU)].target
}

func (l kernelLibrary) find() (*Kernels, error) {
	path := os.Getenv(l.variable)
	if path == "" {
		path = l.place()
	}
	if path == "" || path == "none" {
		return nil, fmt.Errorf("%w; '%s' builds one", ErrNoKernels, l.target)
	}
	return l.open(path)
}

// place returns the first usual place that holds the library.
func (l kernelLibrary) place() string {
	var places []string
	if dir, err := os.Getwd(); err == nil {
		for {
			places = append(places, filepath.Join(dir, ".cache", "kernels", l.file))
			up := filepath.Dir(dir)
			if up == dir {
				break
			}
			dir = up
		}
	}
	if exe, err := os.Executable(); err == nil {
		places = append(places, filepath.Join(filepath.Dir(exe), l.file))
	}
	if cache, err := os.UserCacheDir(); err == nil {
		places = append(places, filepath.Join(cache, "ortrain", "kernels", l.file))
	}
	for _, p := range places {
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p
		}
	}
	return ""
}

func (l kernelLibrary) open(path string) (*Kernels, error) {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	goruntime.LockOSThread() // dlerror is per thread
	defer goruntime.UnlockOSThread()
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	handle := C.dlopen(name, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return nil, fmt.Errorf("the kernel library cannot be loaded: %s; build it anew ('%s') or set %s=none", oneLine(C.GoString(C.dlerror())), l.target, l.variable)
	}
	symbol := func(s string) unsafe.Pointer {
		c := C.CString(s)
		defer C.free(unsafe.Pointer(c))
		return C.dlsym(handle, c)
	}
	version, register := symbol(l.version), symbol("RegisterCustomOps")
	if version == nil || register == nil {
		C.dlclose(handle)
		return nil, fmt.Errorf("%s is not the kernel library that '%s' builds; build it or set %s=none", path, l.target, l.variable)
	}
	if v, want := int(C.callVersion(version)), l.contract(); v != want {
		C.dlclose(handle)
		return nil, fmt.Errorf("the kernel library %s is of version %d, this program works with %d; build it anew ('%s') or set %s=none", path, v, want, l.target, l.variable)
	}
	return &Kernels{Path: path, register: register}, nil
}

// contract is the version that the lowering works with.
func (l kernelLibrary) contract() int {
	if l == kernelLibraries[lower.CUDA] {
		return lower.CUDAKernelVersion
	}
	return lower.KernelVersion
}

// addTo makes the library's operators known to a session.
func (k *Kernels) addTo(o *ort.SessionOptions) error {
	lib, ok := Opened()
	if !ok {
		return ErrNotOpen
	}
	// The Go binding does not wrap the call. Its SessionOptions hold nothing
	// but the library's pointer.
	native := *(*unsafe.Pointer)(unsafe.Pointer(o))
	return withLibrary(lib.Path, func(base unsafe.Pointer) error {
		if message := C.registerKernels(base, k.register, native); message != nil {
			defer C.free(unsafe.Pointer(message))
			return fmt.Errorf("the kernel library %s: %s", k.Path, oneLine(C.GoString(message)))
		}
		return nil
	})
}

package runtime

/*
#include <dlfcn.h>
#include <string.h>
#include "ortapi.h"

// The kernel library's two functions.
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

// KernelsFile is the file name of the kernel library.
const KernelsFile = "libortrain_kernels.so"

// KernelsVariable names the kernel library, or says "none" to do without one.
const KernelsVariable = "ORTRAIN_KERNELS"

// Kernels is the library of operators that 'make kernels' builds
// (runtime/kernels). It is loaded once and stays.
type Kernels struct {
	// Path is the library's file.
	Path     string
	register unsafe.Pointer
}

// ErrNoKernels is returned by FindKernels where there is no kernel library.
var ErrNoKernels = errors.New("there is no kernel library; 'make kernels' builds one")

var loadKernels = sync.OnceValues(func() (*Kernels, error) {
	path := os.Getenv(KernelsVariable)
	switch path {
	case "none":
		return nil, ErrNoKernels
	case "":
		if path = kernelsPlace(); path == "" {
			return nil, ErrNoKernels
		}
	}
	return openKernels(path)
})

// FindKernels loads the kernel library: the one that ORTRAIN_KERNELS names, or
// one in .cache/kernels of the working folder or above it, beside the program,
// or in the user's cache. The error is ErrNoKernels where there is none; a
// library that does not load, or is of another version, is another error.
func FindKernels() (*Kernels, error) { return loadKernels() }

// kernelsPlace returns the first usual place that holds a kernel library.
func kernelsPlace() string {
	var places []string
	if dir, err := os.Getwd(); err == nil {
		for {
			places = append(places, filepath.Join(dir, ".cache", "kernels", KernelsFile))
			up := filepath.Dir(dir)
			if up == dir {
				break
			}
			dir = up
		}
	}
	if exe, err := os.Executable(); err == nil {
		places = append(places, filepath.Join(filepath.Dir(exe), KernelsFile))
	}
	if cache, err := os.UserCacheDir(); err == nil {
		places = append(places, filepath.Join(cache, "ortrain", "kernels", KernelsFile))
	}
	for _, p := range places {
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p
		}
	}
	return ""
}

func openKernels(path string) (*Kernels, error) {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	goruntime.LockOSThread() // dlerror is per thread
	defer goruntime.UnlockOSThread()
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	handle := C.dlopen(name, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return nil, fmt.Errorf("the kernel library cannot be loaded: %s; build it anew ('make kernels') or set %s=none", oneLine(C.GoString(C.dlerror())), KernelsVariable)
	}
	symbol := func(s string) unsafe.Pointer {
		c := C.CString(s)
		defer C.free(unsafe.Pointer(c))
		return C.dlsym(handle, c)
	}
	version, register := symbol("OrtrainKernelsVersion"), symbol("RegisterCustomOps")
	if version == nil || register == nil {
		C.dlclose(handle)
		return nil, fmt.Errorf("%s is not ortrain's kernel library; build it with 'make kernels' or set %s=none", path, KernelsVariable)
	}
	if v := int(C.callVersion(version)); v != lower.KernelVersion {
		C.dlclose(handle)
		return nil, fmt.Errorf("the kernel library %s is of version %d, this program works with %d; build it anew ('make kernels') or set %s=none", path, v, lower.KernelVersion, KernelsVariable)
	}
	return &Kernels{Path: path, register: register}, nil
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

package runtime

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include "ortapi.h"

static const char *versionString(void *getApiBase) {
	const ortApiBase *base = ortBase(getApiBase);
	return base ? base->GetVersionString() : NULL;
}

// providers returns the execution providers built into the library.
static char **providers(void *getApiBase, int *n) {
	void *const *api = ortTable(getApiBase);
	char **list = NULL;
	*n = 0;
	if (api == NULL) return NULL;
	void *status = ((void *(*)(char ***, int *))api[ortGetAvailableProviders])(&list, n);
	if (status != NULL) {
		ortRelease(api, status);
		*n = 0;
		return NULL;
	}
	return list;
}

static void freeProviders(void *getApiBase, char **list, int n) {
	void *const *api = ortTable(getApiBase);
	ortRelease(api, ((void *(*)(char **, int))api[ortReleaseAvailableProviders])(list, n));
}
*/
import "C"

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"strings"
	"unsafe"

	"github.com/ortrain/ortrain/data/atomicfile"
)

// machines maps Go's architecture names to those of ELF files.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM,
	"riscv64": elf.EM_RISCV, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390, "loong64": elf.EM_LOONGARCH,
}

// inspectELF checks, without loading it, that a file is a shared library for
// this machine that exports OrtGetApiBase. Official builds stamp that symbol
// with their version ("VERS_1.30.0"); others yield an empty version.
func inspectELF(path string) (version string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", path, atomicfile.Cause(err))
	}
	defer file.Close()
	// debug/elf is told to be fed broken files with care; keep a panic of it
	// from reaching a user whose file is merely damaged.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s is a damaged library", path)
		}
	}()
	f, err := elf.NewFile(file)
	if err != nil {
		return "", fmt.Errorf("%s is not ONNX Runtime: not a shared library, or cut short", path)
	}
	defer f.Close()
	if want, ok := machines[goruntime.GOARCH]; ok && f.Machine != want {
		return "", fmt.Errorf("%s is a library for %s; this machine needs %s", path, machineName(f.Machine), machineName(want))
	}
	if f.Type != elf.ET_DYN {
		return "", fmt.Errorf("%s is not ONNX Runtime: not a shared library", path)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return "", fmt.Errorf("%s is a damaged library: %w", path, err)
	}
	for _, s := range symbols {
		if s.Name == "OrtGetApiBase" && s.Value != 0 {
			v := strings.TrimPrefix(s.Version, "VERS_")
			if _, ok := parseVersion(v); !ok {
				v = ""
			}
			return v, nil
		}
	}
	return "", fmt.Errorf("%s is not ONNX Runtime: it does not export OrtGetApiBase", path)
}

func machineName(m elf.Machine) string {
	switch m {
	case elf.EM_X86_64:
		return "x86-64"
	case elf.EM_AARCH64:
		return "AArch64"
	}
	return strings.TrimPrefix(m.String(), "EM_")
}

// probeVersion loads the library, asks for its version and lets it go again.
func probeVersion(path string) (version string, err error) {
	err = withLibrary(path, func(base unsafe.Pointer) error {
		v := C.versionString(base)
		if v == nil {
			return fmt.Errorf("%s is not ONNX Runtime: it reports no version", path)
		}
		version = C.GoString(v)
		return nil
	})
	return version, err
}

// probeProviders loads the library and lists the execution providers it was
// built with, in its order of preference ("CPUExecutionProvider" and others).
func probeProviders(path string) (names []string, err error) {
	err = withLibrary(path, func(base unsafe.Pointer) error {
		var n C.int
		list := C.providers(base, &n)
		if list == nil {
			return fmt.Errorf("%s does not list its providers", path)
		}
		for _, s := range unsafe.Slice(list, int(n)) {
			names = append(names, C.GoString(s))
		}
		C.freeProviders(base, list, n)
		return nil
	})
	return names, err
}

// withLibrary calls f with the address of OrtGetApiBase while the library is
// loaded.
func withLibrary(path string, f func(getAPIBase unsafe.Pointer) error) error {
	goruntime.LockOSThread() // dlerror is per thread
	defer goruntime.UnlockOSThread()
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	handle := C.dlopen(name, C.RTLD_LAZY|C.RTLD_LOCAL)
	if handle == nil {
		return fmt.Errorf("%s cannot be loaded: %s", path, oneLine(C.GoString(C.dlerror())))
	}
	defer C.dlclose(handle)
	symbol := C.CString("OrtGetApiBase")
	defer C.free(unsafe.Pointer(symbol))
	get := C.dlsym(handle, symbol)
	if get == nil {
		return fmt.Errorf("%s is not ONNX Runtime: it does not export OrtGetApiBase", path)
	}
	return f(get)
}

// oneLine folds a message of several lines into one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

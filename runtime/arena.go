package runtime

/*
#include "ortapi.h"

// setRunEntry adds a configuration entry to run options.
static void setRunEntry(void *getApiBase, void *options, const char *key, const char *value) {
	void *const *api = ortTable(getApiBase);
	if (api == NULL) return;
	ortRelease(api, ((void *(*)(void *, const char *, const char *))api[ortAddRunConfigEntry])(options, key, value));
}
*/
import "C"

import (
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// A session's first run allocates every value by itself and records when each
// lives; later runs put them all into one block planned from that record. The
// memory of the first run is of no use from then on, yet the arena keeps it:
// for a training step of ResNet-50 that is as much again as the step needs.
// So the first run ends by returning to the system what the arena has free.

// returnMemory makes a run end by freeing the arena's unused regions. A library
// that does not take the setting keeps its memory, which is no error.
func returnMemory(o *ort.RunOptions) {
	lib, ok := Opened()
	if !ok {
		return
	}
	// The Go binding does not wrap the call. Its RunOptions hold nothing but
	// the library's pointer.
	native := *(*unsafe.Pointer)(unsafe.Pointer(o))
	key, value := C.CString("memory.enable_memory_arena_shrinkage"), C.CString("cpu:0")
	defer C.free(unsafe.Pointer(key))
	defer C.free(unsafe.Pointer(value))
	withLibrary(lib.Path, func(base unsafe.Pointer) error {
		C.setRunEntry(base, native, key, value)
		return nil
	})
}

package runtime

/*
#include <dlfcn.h>
#include <stdlib.h>

// Calls of the CUDA driver and of its libraries by the C types of their
// documentation, so that no header of theirs is needed.
static int callInit(void *f) { return ((int (*)(unsigned))f)(0); }
static int callGetInt(void *f, int *v) { return ((int (*)(int *))f)(v); }
static int callDeviceGet(void *f, int *d, int n) { return ((int (*)(int *, int))f)(d, n); }
static int callDeviceName(void *f, char *s, int n, int d) { return ((int (*)(char *, int, int))f)(s, n, d); }
static int callDeviceMemory(void *f, size_t *n, int d) { return ((int (*)(size_t *, int))f)(n, d); }
static int callDeviceAttribute(void *f, int *v, int a, int d) { return ((int (*)(int *, int, int))f)(v, a, d); }
static size_t callSize(void *f) { return ((size_t (*)(void))f)(); }
*/
import "C"

import (
	"fmt"
	"path/filepath"
	goruntime "runtime"
	"unsafe"
)

// dynamic is a shared library that stays loaded.
type dynamic struct{ handle unsafe.Pointer }

// loadDynamic loads a library of the given name from one of the folders, or
// from where the loader looks.
func loadDynamic(name string, dirs []string) (dynamic, error) {
	goruntime.LockOSThread() // dlerror is per thread
	defer goruntime.UnlockOSThread()
	var first error
	for _, path := range append(inFolders(name, dirs), name) {
		c := C.CString(path)
		handle := C.dlopen(c, C.RTLD_LAZY|C.RTLD_LOCAL)
		C.free(unsafe.Pointer(c))
		if handle != nil {
			return dynamic{handle}, nil
		}
		if err := fmt.Errorf("%s", oneLine(C.GoString(C.dlerror()))); first == nil {
			first = err
		}
	}
	return dynamic{}, first
}

func inFolders(name string, dirs []string) []string {
	var paths []string
	for _, d := range dirs {
		paths = append(paths, filepath.Join(d, name))
	}
	return paths
}

// symbol returns the address of a function, nil if there is none.
func (d dynamic) symbol(name string) unsafe.Pointer {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	return C.dlsym(d.handle, c)
}

// version calls a function that returns one as a number; 0 if there is none.
func (d dynamic) version(name string) int {
	f := d.symbol(name)
	if f == nil {
		return 0
	}
	return int(C.callSize(f))
}

// getInt calls a function that writes one number and returns a status.
func (d dynamic) getInt(name string) (v int, err error) {
	f := d.symbol(name)
	if f == nil {
		return 0, fmt.Errorf("it has no function %s", name)
	}
	var n C.int
	if status := C.callGetInt(f, &n); status != 0 {
		return 0, fmt.Errorf("%s: CUDA error %d", name, status)
	}
	return int(n), nil
}

// CUDADevice is a device that the driver reports.
type CUDADevice struct {
	Name string `json:"name"`
	// Memory is all of the device's, in bytes.
	Memory int64 `json:"memory"`
	// Capability is the compute capability, as in "9.0".
	Capability string `json:"capability"`
}

// The driver's numbers for the two halves of a compute capability.
const capabilityMajor, capabilityMinor = 75, 76

// devices asks the driver for its devices.
func (d dynamic) devices() ([]CUDADevice, error) {
	init := d.symbol("cuInit")
	if init == nil {
		return nil, fmt.Errorf("it has no function cuInit")
	}
	if status := C.callInit(init); status != 0 {
		return nil, fmt.Errorf("cuInit: CUDA error %d%s", status, driverHint(int(status)))
	}
	n, err := d.getInt("cuDeviceGetCount")
	if err != nil {
		return nil, err
	}
	get, name, memory, attribute := d.symbol("cuDeviceGet"), d.symbol("cuDeviceGetName"), d.symbol("cuDeviceTotalMem_v2"), d.symbol("cuDeviceGetAttribute")
	if get == nil || name == nil || memory == nil || attribute == nil {
		return nil, fmt.Errorf("it does not describe its devices")
	}
	var list []CUDADevice
	for i := range n {
		var device, major, minor C.int
		var bytes C.size_t
		text := make([]C.char, 256)
		status := C.callDeviceGet(get, &device, C.int(i))
		if status == 0 {
			status = C.callDeviceName(name, &text[0], C.int(len(text)-1), device)
		}
		if status == 0 {
			status = C.callDeviceMemory(memory, &bytes, device)
		}
		C.callDeviceAttribute(attribute, &major, capabilityMajor, device)
		C.callDeviceAttribute(attribute, &minor, capabilityMinor, device)
		if status != 0 {
			return nil, fmt.Errorf("device %d: CUDA error %d", i, status)
		}
		list = append(list, CUDADevice{C.GoString(&text[0]), int64(bytes), fmt.Sprintf("%d.%d", major, minor)})
	}
	return list, nil
}

// driverHint explains the errors that cuInit gives where no device can be used.
func driverHint(status int) string {
	switch status {
	case 100:
		return " (no device is detected)"
	case 803:
		return " (the driver's library and its kernel module are of different versions: restart the machine)"
	case 999, 3:
		return " (the driver is not running)"
	}
	return ""
}

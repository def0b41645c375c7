//go:build cgo && (linux || darwin)

package decode

/*
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "libjpeg.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"
)

// libjpegNames are what libjpeg-turbo is called on the systems there are, by
// the version of its interface.
var libjpegNames = []string{"libjpeg.so.62", "libjpeg.so.8", "libjpeg.62.dylib", "libjpeg.8.dylib",
	"/opt/homebrew/lib/libjpeg.8.dylib", "/usr/local/lib/libjpeg.8.dylib"}

// libjpeg is an opened libjpeg-turbo. It is never closed.
type libjpeg struct{ lib *C.struct_ortrain_libjpeg }

// openLibjpeg opens the library once: the one that the environment names, or
// one of the usual names; nil if there is none.
var openLibjpeg = sync.OnceValue(func() *libjpeg {
	names := libjpegNames
	switch name := os.Getenv(LibraryVariable); name {
	case "":
	case "off":
		return nil
	default:
		names = []string{name}
	}
	for _, name := range names {
		s := C.CString(name)
		lib := C.ortrain_libjpeg_open(s)
		C.free(unsafe.Pointer(s))
		if lib != nil {
			return &libjpeg{lib}
		}
	}
	return nil
})

func (l *libjpeg) String() string {
	return fmt.Sprintf("libjpeg-turbo (%s, interface %d)", C.GoString(C.ortrain_libjpeg_path(l.lib)), int(C.ortrain_libjpeg_abi(l.lib)))
}

// decode writes a window of the stored image at 1/shrink of its size to out,
// w·h·channels bytes. The window is in pixels of the small image.
func (l *libjpeg) decode(out, file []byte, h *header, channels, shrink int, v Window) error {
	message := C.ortrain_libjpeg_decode(l.lib, (*C.uint8_t)(unsafe.SliceData(file)), C.size_t(len(file)),
		C.int(h.w), C.int(h.h), C.int(channels), C.int(shrink), C.int(v.X), C.int(v.Y), C.int(v.W), C.int(v.H),
		(*C.uint8_t)(unsafe.SliceData(out)))
	if message == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(message))
	return errors.New(C.GoString(message))
}

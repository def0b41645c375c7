package runtime

import (
	"fmt"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

var environment struct {
	sync.Mutex
	library Library
	open    bool
}

// Open loads the library into the process and starts ONNX Runtime. A process
// holds one ONNX Runtime: opening the same library again does nothing, opening
// another one is an error. It stays open until the process ends.
func Open(lib Library) error {
	environment.Lock()
	defer environment.Unlock()
	if environment.open {
		if environment.library.Path == lib.Path {
			return nil
		}
		return fmt.Errorf("runtime: ONNX Runtime %s (%s) is open in this process; a second one (%s) cannot be",
			environment.library.Version, environment.library.Path, lib.Path)
	}
	if lib.Path == "" {
		return fmt.Errorf("runtime: no library to open: use FindLibrary")
	}
	if !ort.IsInitialized() {
		ort.SetSharedLibraryPath(lib.Path)
		// Failures come back as errors; printing them too would say it twice.
		if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
			return fmt.Errorf("runtime: start ONNX Runtime from %s: %s", lib.Path, oneLine(err.Error()))
		}
	}
	if err := ort.DisableTelemetry(); err != nil {
		return fmt.Errorf("runtime: turn off telemetry of %s: %s", lib.Path, oneLine(err.Error()))
	}
	environment.library, environment.open = lib, true
	return nil
}

// Opened returns the library that Open loaded, and whether it did.
func Opened() (Library, bool) {
	environment.Lock()
	defer environment.Unlock()
	return environment.library, environment.open
}

package runtime_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

func TestOpenOnce(t *testing.T) {
	lib := ortest.Open(t)
	if err := runtime.Open(lib); err != nil {
		t.Errorf("opening again: %v", err)
	}
	other := lib
	other.Path += ".other"
	if err := runtime.Open(other); err == nil || !strings.Contains(err.Error(), other.Path) {
		t.Errorf("opening another: %v", err)
	}
	if got, ok := runtime.Opened(); !ok || got != lib {
		t.Errorf("opened %+v", got)
	}
}

func TestExamine(t *testing.T) {
	lib := ortest.Open(t)
	r := runtime.Examine("", "")
	if r.Library != lib || r.Problem != "" || len(r.Candidates) == 0 || r.Threads < 1 || r.CPU == "" {
		t.Errorf("report %+v", r)
	}
	if !slices.Contains(r.Providers, "CPUExecutionProvider") {
		t.Errorf("providers %v", r.Providers)
	}
	r = runtime.Examine("", "/no/such/library.so")
	if r.Problem == "" || len(r.Candidates) != 1 || r.Providers != nil {
		t.Errorf("report %+v", r)
	}
}

// TestNotOpen needs a process in which nothing was opened.
func TestNotOpen(t *testing.T) {
	if os.Getenv("ORTRAIN_TEST_NOT_OPEN") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNotOpen$")
		cmd.Env = append(os.Environ(), "ORTRAIN_TEST_NOT_OPEN=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	if _, ok := runtime.Opened(); ok {
		t.Error("something is open")
	}
	if _, err := runtime.NewSessionFromBytes("affine", affine.Bytes(t), runtime.Options{}); !errors.Is(err, runtime.ErrNotOpen) {
		t.Errorf("a session without a library: %v", err)
	}
	if _, err := runtime.NewTensor(3); !errors.Is(err, runtime.ErrNotOpen) {
		t.Errorf("a tensor without a library: %v", err)
	}
	if _, err := runtime.NewScalar(3); !errors.Is(err, runtime.ErrNotOpen) {
		t.Errorf("a scalar without a library: %v", err)
	}
	if err := runtime.Open(runtime.Library{}); err == nil {
		t.Error("no library was opened")
	}
	if err := runtime.Open(runtime.Library{Path: "/no/such/library.so"}); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a missing library: %v", err)
	}
	ortest.Open(t) // and a failure does not stand in the way
}

package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ortrain/ortrain/graphs/lower"
)

// addTo reaches through the binding's SessionOptions to the pointer in it: it
// must be all that they hold.
func TestSessionOptionsHoldOnlyThePointer(t *testing.T) {
	typ := reflect.TypeFor[ort.SessionOptions]()
	if typ.NumField() != 1 || typ.Field(0).Type.Kind() != reflect.Pointer {
		t.Fatalf("the binding's SessionOptions are %v with %d fields; adapt addTo", typ, typ.NumField())
	}
}

func TestOpenKernelsRefusesOthers(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	stranger := buildLibrary(t, filepath.Join(dir, "stranger.so"), "int OrtrainSomething(void) { return 1; }")
	future := buildLibrary(t, filepath.Join(dir, "future.so"), "int OrtrainKernelsVersion(void) { return 999; } void *RegisterCustomOps(void) { return 0; }")
	for name, c := range map[string]struct{ path, want string }{
		"not there":     {filepath.Join(dir, "none.so"), "cannot be loaded"},
		"no library":    {text, "cannot be loaded"},
		"another one":   {stranger, "is not the kernel library that 'make kernels' builds"},
		"other version": {future, "is of version 999"},
	} {
		_, err := kernelLibraries[lower.CPU].open(c.path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: %v; want the path and %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: several lines: %q", name, err)
		}
	}
}

// The libraries of two providers are told apart, and each error names what makes
// the one that was looked for.
func TestKernelsOfAnotherProvider(t *testing.T) {
	dir := t.TempDir()
	cpu := buildLibrary(t, filepath.Join(dir, "cpu.so"), "int OrtrainKernelsVersion(void) { return 1; } void *RegisterCustomOps(void) { return 0; }")
	for provider, target := range map[string]string{lower.CPU: "", lower.CUDA: "make kernels-cuda"} {
		_, err := kernelLibraries[provider].open(cpu)
		if target == "" && err != nil {
			t.Errorf("the CPU's own library: %v", err)
		}
		if target != "" && (err == nil || !strings.Contains(err.Error(), target) || !strings.Contains(err.Error(), "ORTRAIN_KERNELS_CUDA=none")) {
			t.Errorf("the CPU's library for %s: %v", provider, err)
		}
	}
	for provider, l := range kernelLibraries {
		t.Setenv(l.variable, "none")
		if _, err := l.find(); !errors.Is(err, ErrNoKernels) || !strings.Contains(err.Error(), l.target) {
			t.Errorf("%s: %v; want ErrNoKernels and %q", provider, err, l.target)
		}
	}
}

package runtime

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
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
		"another one":   {stranger, "is not ortrain's kernel library"},
		"other version": {future, "is of version 999"},
	} {
		_, err := openKernels(c.path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: %v; want the path and %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: several lines: %q", name, err)
		}
	}
}

package atomicfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, text := range []string{"first, and longer", "second"} {
		if err := Write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil || string(b) != text {
			t.Errorf("the file holds %q, %v", b, err)
		}
	}
	onlyFile(t, filepath.Dir(path))
}

func onlyFile(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestWriteKeepsTheOldOnFailure(t *testing.T) {
	dir := t.TempDir()
	// A folder in the file's place lets the rename fail after everything else.
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	err := Write(path, []byte("new"))
	if err == nil || !strings.HasPrefix(err.Error(), "cannot write "+path+": ") || strings.Contains(err.Error(), ".tmp") {
		t.Errorf("error %v", err)
	}
	onlyFile(t, dir)

	missing := filepath.Join(dir, "no", "such", "file")
	if err := Write(missing, nil); err == nil || strings.Contains(err.Error(), ".tmp") {
		t.Errorf("error %v", err)
	}
}

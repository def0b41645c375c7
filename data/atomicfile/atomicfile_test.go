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

// TestLink: the new name replaces an old file and outlives the first name, also
// where both are names of one file already.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	first, newest := filepath.Join(dir, "first"), filepath.Join(dir, "newest")
	for _, text := range []string{"one", "two"} {
		if err := Write(first, []byte(text)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := Link(first, newest); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := os.ReadFile(newest); err != nil || string(b) != text {
			t.Errorf("the file holds %q, %v", b, err)
		}
	}
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir)
	if err := Link(first, newest); err == nil || strings.Contains(err.Error(), suffix) {
		t.Errorf("error %v", err)
	}
	if b, err := os.ReadFile(newest); err != nil || string(b) != "two" {
		t.Errorf("after a failure the file holds %q, %v", b, err)
	}
}

// TestLinkCopies: another file system cannot be linked to.
func TestLinkCopies(t *testing.T) {
	other, err := os.MkdirTemp("/dev/shm", "atomicfile")
	if err != nil {
		t.Skip("no second file system at /dev/shm")
	}
	defer os.RemoveAll(other)
	old, path := filepath.Join(other, "old"), filepath.Join(t.TempDir(), "new")
	if err := os.WriteFile(old, []byte("far"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Link(old, path); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "far" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	onlyFile(t, filepath.Dir(path))
}

// TestSweep removes what a killed Write leaves and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	f, err := os.CreateTemp(dir, temporary("x.bin"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	kept := []string{".hidden", ".x.tmp", "x" + suffix}
	for _, name := range kept {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(kept) {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	if err := Sweep(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
}

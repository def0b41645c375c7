package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Link makes path a second name of the file old, in place of what it named
// before: at every moment it is the one file or the other, whole. Where the
// file system has no second names it becomes a copy, written as by Write.
func Link(old, path string) error {
	dir := filepath.Dir(path)
	// A name of its own, which os.Link then takes.
	f, err := os.CreateTemp(dir, temporary(path))
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, Cause(err))
	}
	name := f.Name()
	f.Close()
	os.Remove(name)
	if err := os.Link(old, name); err != nil {
		b, err := os.ReadFile(old)
		if err != nil {
			return fmt.Errorf("cannot write %s: %w", path, err)
		}
		return Write(path, b)
	}
	err = os.Rename(name, path)
	os.Remove(name) // it stays where both are names of one file already
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, Cause(err))
	}
	return nil
}

// Sweep removes the temporary files that killed processes have left in a
// folder. Nobody may be writing to it.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); e.Type().IsRegular() && strings.HasPrefix(name, ".") && strings.HasSuffix(name, suffix) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

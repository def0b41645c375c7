// Package runlock keeps two processes from writing to one folder.
//
// The lock is the operating system's advisory lock (flock) on a small file in
// the folder. It ends with its process, however that ends: a file that a killed
// process leaves behind locks nobody out. The file says who holds it.
package runlock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ortrain/ortrain/data/atomicfile"
)

// File is the name of the lock's file in the folder.
const File = ".lock"

// HeldError is the error of a folder that somebody else holds.
type HeldError struct {
	// Dir is the folder, Holder who has it, such as "pid 123 on host".
	Dir, Holder string
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s is being written to by %s; wait until that run ends or stop it, or give another folder", e.Dir, e.Holder)
}

// Lock is a folder held by this process.
type Lock struct {
	path string
	file *os.File
}

// errMoved is the outcome of a lock on a file that is no longer in its place.
var errMoved = errors.New("the lock's file was replaced")

// Take locks a folder that exists, or returns a *HeldError. A file system that
// knows no locks keeps nobody out.
func Take(dir string) (*Lock, error) {
	path := filepath.Join(dir, File)
	for try := 0; ; try++ {
		l, err := take(path)
		switch {
		case err == nil:
			return l, nil
		case errors.Is(err, errMoved):
			continue
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return nil, fmt.Errorf("cannot lock the folder %s: %w", dir, atomicfile.Cause(err))
		case try < 5:
			// Whoever only looks (Check) holds it for a moment.
			time.Sleep(10 * time.Millisecond)
		default:
			return nil, &HeldError{dir, holder(path)}
		}
	}
}

func take(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil && !unsupported(err) {
		f.Close()
		return nil, err
	}
	// The holder before may have removed the file between our open and our lock.
	ours, err := f.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(ours, there) {
			err = errMoved
		}
	}
	if err == nil {
		err = write(f)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Lock{path, f}, nil
}

// unsupported tells that a file system has no locks, as some network and user
// file systems.
func unsupported(err error) bool {
	return errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.ENOLCK)
}

// write says in the file who holds it. A full disk is no reason to refuse.
func write(f *os.File) error {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(fmt.Sprintf("pid %d on %s\n", os.Getpid(), host)), 0)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return nil
	}
	return err
}

func holder(path string) string {
	b, err := os.ReadFile(path)
	if text := strings.TrimSpace(string(b)); err == nil && text != "" && len(text) < 300 {
		return strings.Join(strings.Fields(text), " ")
	}
	return "another process"
}

// Check returns a *HeldError if somebody holds the folder. It creates nothing.
func Check(dir string) error {
	path := filepath.Join(dir, File)
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return &HeldError{dir, holder(path)}
	}
	return nil
}

// Release gives the folder back and removes the lock's file. Releasing twice,
// or nil, is harmless.
func (l *Lock) Release() {
	if l == nil || l.file == nil {
		return
	}
	os.Remove(l.path) // before the lock ends: whoever takes it next looks again
	l.file.Close()
	l.file = nil
}

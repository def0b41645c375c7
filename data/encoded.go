package data

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/ortrain/ortrain/data/decode"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// Encoded is a Source whose images are files of various sizes and formats (JPEG, PNG…).
type Encoded interface {
	Source // Size() returns the size that images have after the recipe's first resize or crop; Read decodes at full size
	// Bytes returns image i's file as stored; it may use and return buf, or memory of its own that must not be written to.
	Bytes(i int, buf []byte) ([]byte, error)
	// Name tells a person which image it is: file path, shard and member, row.
	Name(i int) string
}

// MaxFile is the largest image file that is read, in bytes.
const MaxFile = 1 << 28

// bytesPool lends memory for files that are decoded at once.
var bytesPool = sync.Pool{New: func() any { return new([]byte) }}

// readEncoded implements Read of an Encoded whose Bytes fills the buffer it is
// given. The error names the image.
func readEncoded(e Encoded, i int, dst *pixel.Image) error {
	buf := bytesPool.Get().(*[]byte)
	defer bytesPool.Put(buf)
	file, err := e.Bytes(i, *buf)
	if err != nil {
		return err
	}
	*buf = file
	if err := decode.Image(dst, file, decode.Options{Grey: e.Size().C == 1}); err != nil {
		return fmt.Errorf("%s: %w", e.Name(i), err)
	}
	return nil
}

// readStored implements Read of an Encoded whose Bytes returns memory of its
// own.
func readStored(e Encoded, i int, dst *pixel.Image) error {
	file, err := e.Bytes(i, nil)
	if err != nil {
		return err
	}
	if err := decode.Image(dst, file, decode.Options{Grey: e.Size().C == 1}); err != nil {
		return fmt.Errorf("%s: %w", e.Name(i), err)
	}
	return nil
}

// readFile reads a whole file of a bounded size into buf, grown if need be.
func readFile(path string, buf []byte) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if buf, err = readPart(f, 0, info.Size(), buf); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return buf, nil
}

// readPart reads size bytes from an offset on.
func readPart(from io.ReaderAt, offset, size int64, buf []byte) ([]byte, error) {
	switch {
	case size == 0:
		return nil, errEmpty
	case size < 0 || size > MaxFile:
		return nil, fmt.Errorf("a file of %d bytes; at most %d MiB are read", size, MaxFile>>20)
	}
	buf = slices.Grow(buf[:0], int(size))[:size]
	if n, err := from.ReadAt(buf, offset); n < len(buf) {
		if err == io.EOF {
			return nil, fmt.Errorf("the file is cut off: %d of %d bytes", n, size)
		}
		return nil, err
	}
	return buf, nil
}

var errEmpty = errors.New("the file is empty")

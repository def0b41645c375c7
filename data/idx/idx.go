// Package idx reads the IDX format of MNIST, Fashion-MNIST and their
// relatives: a magic number, big-endian sizes, then unsigned bytes (LeCun et
// al., "The MNIST database"). Gzip is recognised by its own magic number,
// whatever the file is called.
package idx

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
)

// The magic numbers: unsigned bytes in three dimensions, or in one.
const (
	imageMagic = 0x00000803
	labelMagic = 0x00000801
)

// Array is a decoded file.
type Array struct {
	// N is the number of images or labels.
	N int
	// H and W are the size of every image in pixels, 0 for labels.
	H, W int
	// Data holds N·H·W pixels, or N labels.
	Data []byte
}

// Images reports whether the array holds images rather than labels.
func (a *Array) Images() bool { return a.W > 0 }

// ReadFile reads one file of images or labels. The error names the file.
func ReadFile(path string) (*Array, error) {
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
	return decode(f, path, info.Size())
}

// Read reads one stream to its end; name stands for it in errors. What the
// header declares must be exactly what follows. Memory grows with what is
// read, never with what is declared.
func Read(from io.Reader, name string) (*Array, error) { return decode(from, name, 0) }

// decode reads a stream of the given size in bytes, 0 if unknown, which only
// helps to make the buffer large enough at once.
func decode(from io.Reader, name string, size int64) (*Array, error) {
	in := bufio.NewReaderSize(from, 1<<16)
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		zip, err := gzip.NewReader(in)
		if err != nil {
			return nil, damaged(name, err)
		}
		defer zip.Close()
		const usualRatio = 8
		return read(zip, name, usualRatio*size)
	}
	return read(in, name, size)
}

func damaged(name string, err error) error {
	return fmt.Errorf("%s: damaged gzip file (%w); get it again", name, err)
}

func read(in io.Reader, name string, hint int64) (*Array, error) {
	word := func(what string) (int, error) {
		var b [4]byte
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return 0, readError(name, err, "cut off in its header, before the "+what)
		}
		return int(binary.BigEndian.Uint32(b[:])), nil
	}
	magic, err := word("magic number")
	if err != nil {
		return nil, err
	}
	if magic != imageMagic && magic != labelMagic {
		return nil, fmt.Errorf("%s: magic number 0x%08x is neither 0x%08x (images) nor 0x%08x (labels); not an IDX file of bytes",
			name, magic, imageMagic, labelMagic)
	}
	a := &Array{}
	if a.N, err = word("number of items"); err != nil {
		return nil, err
	}
	size := 1
	if magic == imageMagic {
		if a.H, err = word("height"); err != nil {
			return nil, err
		}
		if a.W, err = word("width"); err != nil {
			return nil, err
		}
		const most = 1 << 14
		if a.H < 1 || a.W < 1 || a.H > most || a.W > most {
			return nil, fmt.Errorf("%s: declares images of %d×%d; sides must be 1 to %d", name, a.W, a.H, most)
		}
		size = a.H * a.W
	}
	if a.N == 0 {
		return nil, fmt.Errorf("%s: declares no items", name)
	}
	want := int64(a.N) * int64(size) // below 2^32·2^28
	var buf bytes.Buffer
	buf.Grow(int(min(want, hint)) + bytes.MinRead)
	got, err := io.Copy(&buf, io.LimitReader(in, want))
	if err != nil {
		return nil, readError(name, err, "")
	}
	if got < want {
		return nil, fmt.Errorf("%s: declares %d items of %d bytes but item %d is cut off; get the file again",
			name, a.N, size, got/int64(size))
	}
	// Reading past the end also verifies a gzip file's checksum.
	var extra [1]byte
	switch _, err := io.ReadFull(in, extra[:]); {
	case err == nil:
		return nil, fmt.Errorf("%s: goes on after the %d items of %d bytes it declares", name, a.N, size)
	case !errors.Is(err, io.EOF):
		return nil, readError(name, err, "")
	}
	a.Data = buf.Bytes()
	return a, nil
}

func readError(name string, err error, cut string) error {
	var path *os.PathError
	switch {
	case errors.As(err, &path):
		return err
	case cut != "" && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
		return fmt.Errorf("%s: %s", name, cut)
	}
	return damaged(name, err)
}

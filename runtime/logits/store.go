// Package logits keeps a teacher's logits on disk: a file of rows of float32,
// each checked on its own, that may be filled in any order, a part at a time,
// and by several runs.
package logits

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/ortrain/ortrain/data/atomicfile"
)

// Store is an open file of rows. Row i lies at a fixed place, so rows that are
// not there yet cost nothing (the file is sparse). It is for one goroutine; two
// processes may share a file, since they write the same rows.
//
// The layout: a header that holds the key and the length of a row, then the
// rows, each a mark, the CRC-32C of its number and its floats, and the floats,
// all little-endian. A row that was written in part, or changed since, does not
// have its checksum.
type Store struct {
	path   string
	file   *os.File
	floats int
	buf    []byte
	fresh  bool
}

const (
	magic      = "ortrain logits 1\n"
	headerSize = 128
	mark       = 0x4c4f4731
	rowHeader  = 8
)

var table = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged is wrapped by the error of a row that is not what was written.
var ErrDamaged = errors.New("damaged")

// Open opens the store at path, or makes it with its folder. key, at most 64
// bytes, names what the rows belong to; floats is the length of a row. A file
// with another header is not the store it should be: it is replaced by an
// empty one, and replaced reports so.
func Open(path, key string, floats int) (s *Store, replaced bool, err error) {
	if len(key) > 64 || floats < 1 {
		return nil, false, fmt.Errorf("logits: key of %d bytes, rows of %d floats", len(key), floats)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, false, fmt.Errorf("cannot keep logits: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, false, fmt.Errorf("cannot keep logits: %w", err)
	}
	s = &Store{path: path, file: f, floats: floats, buf: make([]byte, rowHeader+4*floats)}
	if replaced, err = s.begin(header(key, floats)); err != nil {
		f.Close()
		return nil, false, fmt.Errorf("cannot keep logits in %s: %w", path, atomicfile.Cause(err))
	}
	return s, replaced, nil
}

// begin checks the header, or writes it.
func (s *Store) begin(want []byte) (replaced bool, err error) {
	have := make([]byte, headerSize)
	n, err := s.file.ReadAt(have, 0)
	if err != nil && err != io.EOF {
		return false, err
	}
	if bytes.Equal(have, want) {
		return false, nil
	}
	if n > 0 {
		replaced = true
		if err := s.file.Truncate(0); err != nil {
			return false, err
		}
	}
	s.fresh = true
	_, err = s.file.WriteAt(want, 0)
	return replaced, err
}

func header(key string, floats int) []byte {
	b := append(make([]byte, 0, headerSize), magic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(floats))
	b = append(b, key...)
	b = b[:headerSize-4]
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, table))
}

// Path returns the file's path.
func (s *Store) Path() string { return s.path }

// Fresh tells that the store was empty when it was opened.
func (s *Store) Fresh() bool { return s.fresh }

func (s *Store) offset(i int) int64 { return headerSize + int64(i)*int64(len(s.buf)) }

func (s *Store) sum(i int) uint32 {
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], uint64(i))
	return crc32.Update(crc32.Checksum(number[:], table), table, s.buf[rowHeader:])
}

// Read fills dst with row i and reports whether it is there. A row that is not
// what was written gives an error that wraps ErrDamaged; it may be written
// again.
func (s *Store) Read(i int, dst []float32) (bool, error) {
	if len(dst) != s.floats {
		return false, fmt.Errorf("%s: rows have %d floats, not %d", s.path, s.floats, len(dst))
	}
	n, err := s.file.ReadAt(s.buf, s.offset(i))
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("%s: %w", s.path, atomicfile.Cause(err))
	}
	clear(s.buf[n:])
	if zero(s.buf) {
		return false, nil // a hole, or beyond the end
	}
	if n < len(s.buf) || binary.LittleEndian.Uint32(s.buf) != mark || binary.LittleEndian.Uint32(s.buf[4:]) != s.sum(i) {
		return false, fmt.Errorf("%s: row %d is %w", s.path, i, ErrDamaged)
	}
	for k := range dst {
		dst[k] = math.Float32frombits(binary.LittleEndian.Uint32(s.buf[rowHeader+4*k:]))
	}
	return true, nil
}

func zero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// Write stores row i.
func (s *Store) Write(i int, row []float32) error {
	if len(row) != s.floats {
		return fmt.Errorf("%s: rows have %d floats, not %d", s.path, s.floats, len(row))
	}
	for k, v := range row {
		binary.LittleEndian.PutUint32(s.buf[rowHeader+4*k:], math.Float32bits(v))
	}
	binary.LittleEndian.PutUint32(s.buf, mark)
	binary.LittleEndian.PutUint32(s.buf[4:], s.sum(i))
	if _, err := s.file.WriteAt(s.buf, s.offset(i)); err != nil {
		return fmt.Errorf("cannot write %s: %w", s.path, atomicfile.Cause(err))
	}
	return nil
}

// Close closes the file. Closing twice, or a nil store, is harmless.
func (s *Store) Close() error {
	if s == nil || s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

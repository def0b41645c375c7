// Package cifar reads the binary version of the CIFAR-10 and CIFAR-100 data
// sets: records of one or two label bytes and a 32×32 colour image stored as
// three planes (Krizhevsky 2009, "Learning Multiple Layers of Features from
// Tiny Images"; the layout is that of the data sets' own page).
package cifar

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Side is the width and height of every image in pixels.
const Side = 32

const (
	plane  = Side * Side
	pixels = 3 * plane
)

// Format tells the two data sets' records apart.
type Format struct {
	// Labels is the number of label bytes before the image; the last one is
	// the label used, below Classes.
	Labels  int
	Classes int
}

// The formats.
var (
	Ten     = Format{Labels: 1, Classes: 10}
	Hundred = Format{Labels: 2, Classes: 100} // coarse label, fine label
)

func (f Format) record() int { return f.Labels + pixels }

// Records are decoded images and labels.
type Records struct {
	// Pix holds the images one after the other, 32×32×3, channels
	// interleaved.
	Pix    []uint8
	Labels []int
}

// ReadFile appends the records of a file. The error names the file and, where
// one is at fault, the record (counted from 0). Memory is bounded by the size
// of the file.
func (r *Records) ReadFile(path string, f Format) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", path)
	}
	n := int(info.Size()) / f.record()
	r.Pix = slices.Grow(r.Pix, n*pixels)
	r.Labels = slices.Grow(r.Labels, n)
	return r.Read(file, path, f)
}

// Read appends the records of a stream until its end; name stands for it in
// errors.
func (r *Records) Read(from io.Reader, name string, f Format) error {
	size := f.record()
	// Many records at a time: a system call each would take longer than the
	// decoding.
	buf := make([]byte, 64*size)
	for record := 0; ; {
		n, err := io.ReadFull(from, buf)
		for at := 0; at+size <= n; at += size {
			if err := r.add(buf[at:at+size], f); err != nil {
				return fmt.Errorf("%s: record %d: %w", name, record, err)
			}
			record++
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("%s: record %d: %w", name, record, err)
		case n%size != 0:
			return fmt.Errorf("%s: record %d is cut off: %d of %d bytes; get the file again or check that it is CIFAR-%d",
				name, record, n%size, size, f.Classes)
		case record == 0:
			return fmt.Errorf("%s: the file is empty", name)
		default:
			return nil
		}
	}
}

func (r *Records) add(record []byte, f Format) error {
	label := int(record[f.Labels-1])
	if label >= f.Classes {
		return fmt.Errorf("label %d is not below %d; the file is damaged or not CIFAR-%d", label, f.Classes, f.Classes)
	}
	r.Labels = append(r.Labels, label)
	at := len(r.Pix)
	r.Pix = slices.Grow(r.Pix, pixels)[:at+pixels]
	interleave(r.Pix[at:], record[f.Labels:])
	return nil
}

// interleave turns three planes into pixels of three channels.
func interleave(dst, src []byte) {
	red, green, blue := src[:plane:plane], src[plane:2*plane:2*plane], src[2*plane:3*plane:3*plane]
	for i := range plane {
		p := dst[3*i : 3*i+3 : 3*i+3]
		p[0], p[1], p[2] = red[i], green[i], blue[i]
	}
}

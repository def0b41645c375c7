// Package data reads image data sets and turns them into training batches: it
// finds and checks the files, splits off a validation set, and runs the
// parallel loader whose bytes do not depend on the number of its workers.
package data

import (
	"fmt"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// Source is a set of labelled images. It is safe for concurrent use.
type Source interface {
	// Len returns the number of images.
	Len() int
	// Size returns the size of every image, or, where they are of various
	// sizes, the one that a chain brings them to unless its first transform
	// says otherwise.
	Size() pixel.Size
	// Classes returns the names of the classes; labels are indices into it.
	Classes() []string
	// Label returns the label of image i.
	Label(i int) int
	// Read puts image i into dst. It may point dst.Pix at memory of its own,
	// which must not be written to.
	Read(i int, dst *pixel.Image) error
}

// Memory is a Source that holds its pixels decoded.
type Memory struct {
	size    pixel.Size
	classes []string
	labels  []int
	pix     []uint8
}

// NewMemory returns a source over pix, len(labels) images of the given size,
// rows from the top and channels interleaved. It keeps the slices. It fails
// if the lengths do not fit or a label is outside the classes.
func NewMemory(size pixel.Size, classes []string, pix []uint8, labels []int) (*Memory, error) {
	if len(pix) != len(labels)*size.Elements() {
		return nil, fmt.Errorf("data: %d bytes of pixels for %d images of %v", len(pix), len(labels), size)
	}
	for i, l := range labels {
		if l < 0 || l >= len(classes) {
			return nil, fmt.Errorf("data: image %d: label %d of %d classes", i, l, len(classes))
		}
	}
	return &Memory{size, classes, labels, pix}, nil
}

// Len implements Source.
func (m *Memory) Len() int { return len(m.labels) }

// Size implements Source.
func (m *Memory) Size() pixel.Size { return m.size }

// Classes implements Source.
func (m *Memory) Classes() []string { return m.classes }

// Label implements Source.
func (m *Memory) Label(i int) int { return m.labels[i] }

// Read implements Source without copying.
func (m *Memory) Read(i int, dst *pixel.Image) error {
	n := m.size.Elements()
	dst.Size, dst.Pix = m.size, m.pix[i*n:(i+1)*n:(i+1)*n]
	return nil
}

package data

import (
	"github.com/ortrain/ortrain/data/files"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// fileSource is an Encoded over image files of their own.
type fileSource struct {
	list    *files.List
	classes []string
	size    pixel.Size
}

func (f *fileSource) Len() int                           { return f.list.Len() }
func (f *fileSource) Size() pixel.Size                   { return f.size }
func (f *fileSource) Classes() []string                  { return f.classes }
func (f *fileSource) Label(i int) int                    { return f.list.Label(i) }
func (f *fileSource) Name(i int) string                  { return f.list.Path(i) }
func (f *fileSource) Read(i int, dst *pixel.Image) error { return readEncoded(f, i, dst) }

func (f *fileSource) Bytes(i int, buf []byte) ([]byte, error) {
	return readFile(f.list.Path(i), buf)
}

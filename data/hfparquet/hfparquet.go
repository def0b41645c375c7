// Package hfparquet reads image sets in Parquet files as the Hugging Face
// library datasets writes them: a column of structs {bytes, path}, a column of
// labels, and the names of the classes in the file's metadata. Plain columns of
// bytes do as well. Images are read at random, page by page.
package hfparquet

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// Options name the columns; empty means the usual ones.
type Options struct{ Image, Label string }

// The usual names of the columns, best first.
var (
	imageNames = []string{"image", "img", "images", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes"}
	labelNames = []string{"label", "labels", "cls", "class", "target", "fine_label", "category"}
)

// cacheBytes bounds the decoded pages that a set keeps.
const cacheBytes = 256 << 20

// reader is one file.
type reader struct {
	path   string
	from   io.ReaderAt
	closer io.Closer
	file   *parquet.File
	image  *parquet.Column
	column int // of the images
	pages  []page
	first  int // number of its first row in the set
}

// Set is the rows of some files, one after the other. It is safe for
// concurrent use.
type Set struct {
	readers []*reader
	rows    int
	cache   *cache
	// Names are the classes' names in the files' metadata; nil without.
	Names []string
}

// Open indexes files and calls label for each row, in order; ok is false where
// it has none. The error names the file.
func Open(paths []string, o Options, label func(text string, ok bool)) (*Set, error) {
	s := &Set{cache: newCache(cacheBytes)}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		info, err := f.Stat()
		if err == nil {
			err = s.add(path, f, f, info.Size(), o, label)
		}
		if err != nil {
			f.Close()
			s.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return s, nil
}

// add indexes one file.
func (s *Set) add(path string, from io.ReaderAt, closer io.Closer, size int64, o Options, label func(string, bool)) (err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("damaged Parquet file: %v", e)
		}
	}()
	if err := checkEnd(from, size); err != nil {
		return err
	}
	f, err := parquet.OpenFile(from, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("not a complete Parquet file: %w", err)
	}
	// Every image takes at least a byte.
	claimed := int64(0)
	for _, g := range f.Metadata().RowGroups {
		if g.NumRows < 0 || g.NumRows > size-claimed {
			return errors.New("more rows than a file of its size can hold")
		}
		claimed += g.NumRows
	}
	if claimed != f.NumRows() {
		return fmt.Errorf("damaged Parquet file: %d rows, and %d in its row groups", f.NumRows(), claimed)
	}
	image, err := find(f.Root(), "images", "data.image_key", o.Image, imageNames)
	if err != nil {
		return err
	}
	if !image.Leaf() {
		if image = image.Column("bytes"); image == nil || !image.Leaf() {
			return errors.New("the column of images holds no bytes: the set was written without its files; embed them (Dataset.to_parquet does)")
		}
	}
	if k := image.Type().Kind(); k != parquet.ByteArray || image.MaxRepetitionLevel() > 0 {
		return fmt.Errorf("the column %s holds no bytes of one image a row; name another as data.image_key", strings.Join(image.Path(), "."))
	}
	labels, err := find(f.Root(), "labels", "data.label_key", o.Label, labelNames)
	if err != nil {
		return err
	}
	if !labels.Leaf() || labels.MaxRepetitionLevel() > 0 {
		return fmt.Errorf("the column %s holds no single label a row; name another as data.label_key", labels.Name())
	}
	r := &reader{path: path, from: from, closer: closer, file: f, image: image, column: image.Index(), first: s.rows}
	if r.pages, err = scanPages(f, from, r.column); err != nil {
		return err
	}
	if err := checkLabels(f, from, labels); err != nil {
		return fmt.Errorf("labels: %w", err)
	}
	rows := 0
	if err := eachLabel(f, labels.Index(), func(text string, ok bool) { rows++; label(text, ok) }); err != nil {
		return fmt.Errorf("labels: %w", err)
	}
	if int64(rows) != f.NumRows() {
		return fmt.Errorf("%d labels for %d rows; the file is damaged", rows, f.NumRows())
	}
	names, err := classNames(f, labels.Name())
	if err != nil {
		return err
	}
	switch {
	case len(s.readers) == 0:
		s.Names = names
	case !slices.Equal(names, s.Names):
		return fmt.Errorf("its class names differ from those of %s; the files are of different sets", s.readers[0].path)
	}
	s.readers = append(s.readers, r)
	s.rows += rows
	return nil
}

// checkEnd checks what the file says of its footer, which the library believes.
func checkEnd(from io.ReaderAt, size int64) error {
	const tail = 8 // length of the footer, "PAR1"
	var b [tail]byte
	if size < tail+4 {
		return errors.New("not a Parquet file: it has only " + strconv.FormatInt(size, 10) + " bytes")
	}
	if _, err := from.ReadAt(b[:], size-tail); err != nil {
		return err
	}
	if string(b[4:]) != "PAR1" {
		return errors.New("not a complete Parquet file: it does not end as one; get it again")
	}
	if n := int64(binary.LittleEndian.Uint32(b[:])); n > size-tail-4 {
		return fmt.Errorf("damaged Parquet file: a footer of %d bytes", n)
	}
	return nil
}

// find returns the column of images or labels.
func find(root *parquet.Column, what, key, given string, usual []string) (*parquet.Column, error) {
	if given != "" {
		usual = []string{given}
	}
	for _, name := range usual {
		if c := root.Column(name); c != nil {
			return c, nil
		}
	}
	var there []string
	for _, c := range root.Columns() {
		there = append(there, c.Name())
	}
	return nil, fmt.Errorf("no column of %s (%s) among %s; say which it is (%s)", what, strings.Join(usual, ", "), strings.Join(there, ", "), key)
}

// checkLabels looks at all pages of the labels before they are read.
func checkLabels(f *parquet.File, from io.ReaderAt, labels *parquet.Column) error {
	pages, err := scanPages(f, from, labels.Index())
	if err != nil {
		return err
	}
	for _, p := range pages {
		codec := f.Metadata().RowGroups[p.chunk].Columns[labels.Index()].MetaData.Codec
		if err := checkPage(labels, codec, from, p.offset, f.Size()); err != nil {
			return fmt.Errorf("page at byte %d: %w", p.offset, err)
		}
	}
	return nil
}

// eachLabel calls label for every row of a column of numbers or texts.
func eachLabel(f *parquet.File, column int, label func(string, bool)) error {
	buf := make([]parquet.Value, 256)
	for _, g := range f.RowGroups() {
		pages := g.ColumnChunks()[column].Pages()
		for {
			p, err := pages.ReadPage()
			if err == io.EOF {
				break
			}
			if err != nil {
				pages.Close()
				return err
			}
			for in := p.Values(); ; {
				n, err := in.ReadValues(buf)
				for _, v := range buf[:n] {
					label(text(v))
				}
				if err == io.EOF || n == 0 && err == nil {
					break
				}
				if err != nil {
					pages.Close()
					return err
				}
			}
			parquet.Release(p)
		}
		pages.Close()
	}
	return nil
}

// text is a label as it would be written; −1 is how unlabelled test sets mark
// theirs.
func text(v parquet.Value) (string, bool) {
	switch v.Kind() {
	case parquet.Boolean:
		if v.Boolean() {
			return "1", true
		}
		return "0", true
	case parquet.Int32:
		return strconv.Itoa(int(v.Int32())), v.Int32() >= 0
	case parquet.Int64:
		return strconv.FormatInt(v.Int64(), 10), v.Int64() >= 0
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return string(v.ByteArray()), true
	}
	return "", false
}

// classNames returns the names that the metadata of datasets give for a column
// of type ClassLabel.
func classNames(f *parquet.File, column string) ([]string, error) {
	raw, ok := f.Lookup("huggingface")
	if !ok {
		return nil, nil
	}
	var meta struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	if err := json.Unmarshal([]byte(raw), &meta); err != nil {
		return nil, fmt.Errorf("metadata %q: %w", "huggingface", err)
	}
	var feature struct {
		Type  string   `json:"_type"`
		Names []string `json:"names"`
	}
	if json.Unmarshal(meta.Info.Features[column], &feature) != nil || feature.Type != "ClassLabel" {
		return nil, nil
	}
	return feature.Names, nil
}

// Len returns the number of rows.
func (s *Set) Len() int { return s.rows }

// locate returns the file of a row, and the row within it.
func (s *Set) locate(i int) (file, row int) {
	file = sort.Search(len(s.readers), func(k int) bool { return s.readers[k].first > i }) - 1
	return file, i - s.readers[file].first
}

// Name names a row by its file and its number there, from 0.
func (s *Set) Name(i int) string {
	file, row := s.locate(i)
	return fmt.Sprintf("%s row %d", s.readers[file].path, row)
}

// Bytes returns the image file of a row: memory of the set, which must not be
// written to. The error names the row.
func (s *Set) Bytes(i int) ([]byte, error) {
	file, row := s.locate(i)
	r := s.readers[file]
	k := sort.Search(len(r.pages), func(k int) bool { return r.pages[k].first > int64(row) }) - 1
	at := place{file, k}
	v := s.cache.get(at)
	if v == nil {
		var err error
		if v, err = r.readPage(r.pages[k]); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name(i), err)
		}
		s.cache.put(at, v)
	}
	n, from := row-int(r.pages[k].first), 0
	if v.null[n] {
		return nil, fmt.Errorf("%s: the row holds no image", s.Name(i))
	}
	if n > 0 {
		from = v.ends[n-1]
	}
	return v.data[from:v.ends[n]:v.ends[n]], nil
}

// Close closes the files. No image may be read after it.
func (s *Set) Close() error {
	var errs []error
	for _, r := range s.readers {
		if r.closer != nil {
			errs = append(errs, r.closer.Close())
		}
	}
	s.readers = nil
	return errors.Join(errs...)
}

package hfparquet

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Random access needs to know where each page of the images' column lies.
// Writers may leave that out (pyarrow does by default), so the headers of the
// pages are read once; they say how long each page is, so this skips from one
// to the next. A single page is then read by the library itself, through a
// view of the file on which the column chunk seems to hold that page alone.

// page is one data page of the images' column.
type page struct {
	chunk  int32 // row group
	rows   int32
	first  int64 // row of the file
	offset int64 // of its header
	dict   bool  // its values are numbers into the chunk's dictionary
}

// Pages larger than this are refused: a header may claim anything, and the
// library believes it.
const mostPage = 1 << 28

// scanPages lists the data pages of a column of the file. What their headers
// claim is within the bounds of the file and of mostPage.
func scanPages(f *parquet.File, from io.ReaderAt, column int) ([]page, error) {
	var pages []page
	var row int64
	groups := f.Metadata().RowGroups
	for g := range groups {
		if column >= len(groups[g].Columns) {
			return nil, fmt.Errorf("row group %d lacks column %d", g, column)
		}
		meta := &groups[g].Columns[column].MetaData
		start := meta.DataPageOffset
		if d := meta.DictionaryPageOffset; d != 0 {
			start = min(start, d)
		}
		end := start + meta.TotalCompressedSize
		if start < 0 || end < start || end > f.Size() {
			return nil, fmt.Errorf("row group %d lies outside the file", g)
		}
		left := groups[g].NumRows
		for at := start; at < end && left > 0; {
			header, length, err := pageHeader(from, at, end)
			if err != nil {
				return nil, fmt.Errorf("row group %d, page at byte %d: %w", g, at, err)
			}
			p := page{chunk: int32(g), first: row, offset: at}
			at += length + int64(header.CompressedPageSize)
			if at > end {
				return nil, fmt.Errorf("row group %d, page at byte %d: cut off", g, p.offset)
			}
			switch {
			case header.Type == format.DictionaryPage && header.DictionaryPageHeader.Valid:
				if n := header.DictionaryPageHeader.V.NumValues; n < 0 || n > header.UncompressedPageSize {
					return nil, fmt.Errorf("row group %d: a dictionary of %d values", g, n)
				}
				if meta.Codec != format.Uncompressed && meta.Codec != format.Snappy {
					if err := checkPage(nil, meta.Codec, from, p.offset, end); err != nil {
						return nil, fmt.Errorf("row group %d, dictionary: %w", g, err)
					}
				}
				continue
			case header.Type == format.DataPage && header.DataPageHeader.Valid:
				p.rows, p.dict = header.DataPageHeader.V.NumValues, dictionary(header.DataPageHeader.V.Encoding)
			case header.Type == format.DataPageV2 && header.DataPageHeaderV2.Valid:
				p.rows, p.dict = header.DataPageHeaderV2.V.NumRows, dictionary(header.DataPageHeaderV2.V.Encoding)
			default:
				continue
			}
			if p.rows < 0 || int64(p.rows) > left {
				return nil, fmt.Errorf("row group %d: its pages hold more rows than it has", g)
			}
			if p.rows == 0 {
				continue
			}
			row, left = row+int64(p.rows), left-int64(p.rows)
			pages = append(pages, p)
		}
		if left > 0 {
			return nil, fmt.Errorf("row group %d: its pages hold %d rows too few", g, left)
		}
	}
	return pages, nil
}

func dictionary(e format.Encoding) bool {
	//lint:ignore SA1019 pyarrow writes the old name for the old page format
	return e == format.PlainDictionary || e == format.RLEDictionary
}

// pageHeader reads the header at an offset and returns its length.
func pageHeader(from io.ReaderAt, at, end int64) (*format.PageHeader, int64, error) {
	section := io.NewSectionReader(from, at, end-at)
	buffered := bufio.NewReaderSize(section, 512)
	var h format.PageHeader
	protocol := new(thrift.CompactProtocol)
	if err := thrift.NewDecoder(protocol.NewReader(buffered)).Decode(&h); err != nil {
		return nil, 0, err
	}
	if h.CompressedPageSize < 0 || h.CompressedPageSize > mostPage || h.UncompressedPageSize < 0 || h.UncompressedPageSize > mostPage {
		return nil, 0, errors.New("a page of an impossible size")
	}
	position, err := section.Seek(0, io.SeekCurrent)
	return &h, position - int64(buffered.Buffered()), err
}

// window shows a file to the library as if one page stood where the data of
// its column chunk begin.
type window struct {
	file io.ReaderAt
	// From start on the file is moved by shift bytes.
	start, shift int64
}

func (w window) ReadAt(p []byte, at int64) (int, error) {
	if at >= w.start {
		return w.file.ReadAt(p, at+w.shift)
	}
	if n := w.start - at; int64(len(p)) > n {
		// Up to the border; the rest is a read of its own.
		k, err := w.file.ReadAt(p[:n], at)
		if err != nil {
			return k, err
		}
		m, err := w.file.ReadAt(p[n:], w.start+w.shift)
		return k + m, err
	}
	return w.file.ReadAt(p, at)
}

// values are the decoded values of a page: value i is data[ends[i-1]:ends[i]].
type values struct {
	data []byte
	ends []int
	null []bool
}

// readPage decodes one page.
func (r *reader) readPage(p page) (v *values, err error) {
	defer func() {
		if e := recover(); e != nil {
			v, err = nil, fmt.Errorf("damaged page: %v", e)
		}
	}()
	chunk, ok := r.file.RowGroups()[p.chunk].ColumnChunks()[r.column].(*parquet.FileColumnChunk)
	if !ok {
		return nil, errors.New("not a column of a file")
	}
	meta := &r.file.Metadata().RowGroups[p.chunk].Columns[r.column].MetaData
	if err := checkPage(r.image, meta.Codec, r.from, p.offset, r.file.Size()); err != nil {
		return nil, fmt.Errorf("damaged page: %w", err)
	}
	start := meta.DataPageOffset
	if meta.DictionaryPageOffset != 0 && !p.dict {
		start = meta.DictionaryPageOffset // not needed: the page takes its place
	}
	pages := chunk.PagesFrom(window{r.from, start, p.offset - start})
	defer pages.Close()
	got, err := pages.ReadPage()
	if err != nil {
		return nil, err
	}
	defer parquet.Release(got)
	if got.NumRows() != int64(p.rows) {
		return nil, fmt.Errorf("damaged page: %d rows instead of %d", got.NumRows(), p.rows)
	}
	v = &values{data: make([]byte, 0, min(max(got.Size(), 0), mostPage)), ends: make([]int, 0, p.rows), null: make([]bool, 0, p.rows)}
	buf := make([]parquet.Value, 64)
	for in := got.Values(); ; {
		n, err := in.ReadValues(buf)
		for _, x := range buf[:n] {
			if !x.IsNull() {
				v.data = append(v.data, x.ByteArray()...)
			}
			v.null = append(v.null, x.IsNull())
			v.ends = append(v.ends, len(v.data))
		}
		if err == io.EOF || n == 0 && err == nil {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(v.ends) != int(p.rows) {
		return nil, fmt.Errorf("damaged page: %d values instead of %d", len(v.ends), p.rows)
	}
	return v, nil
}

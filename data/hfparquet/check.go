package hfparquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// The library believes what a page says of itself: it makes room for as many
// levels as a run of them claims, and where there are more texts than the header
// says it writes a line to the standard error and goes on. Whoever reads a
// damaged file is to get one error instead, so a page is looked at before the
// library sees it: once more through bytes that are in memory anyway.

// checkPage reports a data page that does not hold as many values as its header
// says.
func checkPage(column *parquet.Column, codec format.CompressionCodec, from io.ReaderAt, at, end int64) error {
	h, length, err := pageHeader(from, at, end)
	if err != nil {
		return err
	}
	data := make([]byte, h.CompressedPageSize)
	if _, err := from.ReadAt(data, at+length); err != nil {
		return err
	}
	decompress := func() (err error) {
		data, err = decompressed(data, codec, h.UncompressedPageSize)
		return err
	}
	var want int
	var encoding format.Encoding
	levels := column.MaxDefinitionLevel()
	switch {
	case h.Type == format.DictionaryPage:
		return decompress()
	case h.Type == format.DataPage && h.DataPageHeader.Valid:
		want, encoding = int(h.DataPageHeader.V.NumValues), h.DataPageHeader.V.Encoding
		if err := decompress(); err != nil {
			return err
		}
		if levels > 0 {
			if len(data) < 4 || int64(binary.LittleEndian.Uint32(data)) > int64(len(data)-4) {
				return errors.New("its levels are cut off")
			}
			n := 4 + int(binary.LittleEndian.Uint32(data))
			if want, err = present(data[4:n], want, levels); err != nil {
				return err
			}
			data = data[n:]
		}
	case h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid:
		v := &h.DataPageHeaderV2.V
		want, encoding = int(v.NumValues)-int(v.NumNulls), v.Encoding
		n := int64(v.RepetitionLevelsByteLength) + int64(v.DefinitionLevelsByteLength)
		if v.RepetitionLevelsByteLength < 0 || v.DefinitionLevelsByteLength < 0 || n > int64(len(data)) {
			return errors.New("its levels are cut off")
		}
		if data = data[n:]; v.IsCompressed.Valid && !v.IsCompressed.V {
			break
		}
		if err := decompress(); err != nil {
			return err
		}
	default:
		return nil
	}
	if dictionary(encoding) {
		if len(data) == 0 {
			return nil // all are missing
		}
		if data[0] > 32 {
			return fmt.Errorf("numbers of %d bits", data[0])
		}
		return runs(data[1:], int(data[0]), want, func(uint64, int) {})
	}
	if column.Type().Kind() != parquet.ByteArray {
		return nil
	}
	have := 0
	if encoding == format.Plain {
		for rest := data; len(rest) > 0; have++ {
			if len(rest) < 4 || int64(binary.LittleEndian.Uint32(rest)) > int64(len(rest)-4) {
				return errors.New("a value is cut off")
			}
			rest = rest[4+int(binary.LittleEndian.Uint32(rest)):]
		}
	} else {
		_, offsets, err := parquet.LookupEncoding(encoding).DecodeByteArray(nil, data, nil)
		if err != nil {
			return err
		}
		have = len(offsets) - 1
	}
	if have != want {
		return fmt.Errorf("it holds %d values where its header says %d", have, want)
	}
	return nil
}

// decompressed returns a page's data, of which there are at most size bytes: a
// few bytes may claim to be any number, and the library makes room for them.
func decompressed(data []byte, codec format.CompressionCodec, size int32) ([]byte, error) {
	var from io.Reader
	switch codec {
	case format.Uncompressed:
		return data, nil
	case format.Lz4Raw:
		// The library takes every error for a want of memory, and tries again
		// with more for ever.
		out := make([]byte, size)
		n, err := lz4.UncompressBlock(data, out)
		return out[:max(n, 0)], err
	case format.Snappy:
		if n, err := snappy.DecodedLen(data); err != nil || n > int(size) {
			if err == nil {
				err = errTooLong
			}
			return nil, err
		}
		return snappy.Decode(make([]byte, size), data)
	case format.Gzip:
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		from = r
	case format.Zstd:
		r, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*mostPage))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		from = r
	case format.Brotli:
		from = brotli.NewReader(bytes.NewReader(data))
	default:
		return nil, fmt.Errorf("compressed by %s, which is not read", codec)
	}
	out := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := out.ReadFrom(io.LimitReader(from, int64(size)+1)); err != nil {
		return nil, err
	}
	if out.Len() > int(size) {
		return nil, errTooLong
	}
	return out.Bytes(), nil
}

var errTooLong = errors.New("it holds more than its header says")

// present counts the rows of a page that have a value, by their definition
// levels, of which the highest is most.
func present(data []byte, rows, most int) (int, error) {
	n, left := 0, rows
	err := runs(data, bits.Len(uint(most)), rows, func(level uint64, count int) {
		count = min(count, left)
		if left -= count; level == uint64(most) {
			n += count
		}
	})
	return n, err
}

// slack is how many numbers there may be beyond those that count: runs of packed
// ones come in eights.
const slack = 64

// runs reads numbers of the given width in bits as Parquet's hybrid of run
// lengths and bit packing holds them, and reports fewer than are wanted or many
// more: a run's header may claim any number of them, and the library believes
// it.
func runs(data []byte, width, want int, value func(v uint64, count int)) error {
	total := 0
	for len(data) > 0 {
		head, k := binary.Uvarint(data)
		if k <= 0 || head>>1 > uint64(want+slack) {
			return errors.New("a run of levels or numbers has an impossible length")
		}
		data = data[k:]
		n := int(head >> 1)
		size := (width + 7) / 8
		if head&1 == 1 {
			size = n * width
			n *= 8
		}
		if n == 0 {
			continue
		}
		if size > len(data) {
			return errors.New("a run of levels or numbers is cut off")
		}
		if total += n; total > want+slack {
			return fmt.Errorf("it has levels or numbers of more than its %d rows", want)
		}
		if head&1 == 0 {
			var v uint64
			for i := range size {
				v |= uint64(data[i]) << (8 * i)
			}
			value(v, n)
		} else {
			for i := range n {
				var v uint64
				for b := range width {
					at := i*width + b
					v |= uint64(data[at/8]>>(at%8)&1) << b
				}
				value(v, 1)
			}
		}
		data = data[size:]
	}
	if total < want {
		return fmt.Errorf("it has levels or numbers of %d of its %d rows", total, want)
	}
	return nil
}

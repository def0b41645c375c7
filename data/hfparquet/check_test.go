package hfparquet

import (
	"bytes"
	"errors"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// Every compression gives its data back, and no more than a page's header says;
// what is cut off or changed is an error, and none that takes for ever.
func TestDecompressed(t *testing.T) {
	plain := bytes.Repeat([]byte("some bytes of an image, "), 4000)
	for _, codec := range []format.CompressionCodec{format.Uncompressed, format.Snappy, format.Gzip, format.Zstd, format.Brotli, format.Lz4Raw} {
		packed, err := parquet.LookupCompressionCodec(codec).Encode(nil, plain)
		if err != nil {
			t.Fatal(codec, err)
		}
		got, err := decompressed(packed, codec, int32(len(plain)))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %d bytes of %d, %v", codec, len(got), len(plain), err)
		}
		if codec == format.Uncompressed {
			continue
		}
		if _, err := decompressed(packed, codec, 1000); err == nil || codec != format.Lz4Raw && codec != format.Zstd && !errors.Is(err, errTooLong) {
			t.Errorf("%s: more than the header says: %v", codec, err)
		}
		for at := range packed {
			bad := bytes.Clone(packed)
			bad[at] ^= byte(1 + at%255)
			decompressed(bad, codec, int32(len(plain)))
			decompressed(packed[:at], codec, int32(len(plain)))
		}
	}
	if _, err := decompressed(plain, 99, 10); err == nil {
		t.Error("an unknown compression was read")
	}
}

// Runs of levels that claim more rows than a page has are not believed.
func TestRuns(t *testing.T) {
	for _, c := range []struct {
		name  string
		data  []byte
		width int
		want  int
		ok    bool
	}{
		{"a run of ones", []byte{5 << 1, 1}, 1, 5, true},
		{"eight packed", []byte{1<<1 | 1, 0b1010_1010}, 1, 8, true},
		{"eight packed, of which five count", []byte{1<<1 | 1, 0xff}, 1, 5, true},
		{"two of two bits and a run", []byte{1<<1 | 1, 0x1b, 0x1b, 2 << 1, 3}, 2, 10, true},
		{"too few", []byte{4 << 1, 1}, 1, 5, false},
		{"a bomb", []byte{0xfe, 0xff, 0xff, 0xff, 0x0f, 1}, 1, 5, false},
		{"many runs", bytes.Repeat([]byte{60 << 1, 1}, 3), 1, 60, false},
		{"cut off", []byte{2<<1 | 1, 0xff}, 1, 16, false},
		{"no value", []byte{2 << 1}, 1, 2, false},
		{"an endless number", bytes.Repeat([]byte{0xff}, 11), 1, 2, false},
	} {
		if err := runs(c.data, c.width, c.want, func(uint64, int) {}); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if n, err := present([]byte{1<<1 | 1, 0x1b, 0x1b, 2 << 1, 3}, 9, 3); err != nil || n != 3 {
		t.Errorf("%d rows have a value, %v; want 3", n, err)
	}
}

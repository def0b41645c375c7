package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"unicode/utf8"
)

// ErrFormat is wrapped by errors about input that is no safetensors file at
// all; ErrTruncated by those about one that ends too early.
var (
	ErrFormat    = errors.New("not a safetensors file")
	ErrTruncated = errors.New("the file is cut short")
)

// ReadFile reads and decodes a file.
func ReadFile(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Decode decodes a file. The tensors come in the order of their data, which
// alias b.
func Decode(b []byte) (*File, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrFormat, len(b))
	}
	length := binary.LittleEndian.Uint64(b)
	if length < 2 || length > MaxHeader {
		return nil, fmt.Errorf("%w: it declares a header of %d bytes", ErrFormat, length)
	}
	if length > uint64(len(b)-8) {
		if len(b) > 8 && b[8] != '{' {
			return nil, fmt.Errorf("%w: its header is not JSON", ErrFormat)
		}
		return nil, fmt.Errorf("%w: within the header", ErrTruncated)
	}
	header, data := b[8:8+length], b[8+length:]
	if header[0] != '{' || !utf8.Valid(header) {
		return nil, fmt.Errorf("%w: its header is not JSON", ErrFormat)
	}
	f, places, err := decodeHeader(header)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	// Names break ties of empty tensors, so that decoding is deterministic.
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.Offsets[0], b.Offsets[0]), cmp.Compare(a.Offsets[1], b.Offsets[1]), cmp.Compare(a.name, b.name))
	})
	end := 0
	for _, p := range places {
		if p.Offsets[0] != end || p.Offsets[1] < end {
			return nil, fmt.Errorf("%w: %q lies at bytes %d to %d, expected from %d", ErrFormat, p.name, p.Offsets[0], p.Offsets[1], end)
		}
		size, err := bytesOf(p.DType, p.Shape)
		if err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrFormat, p.name, err)
		}
		if size != p.Offsets[1]-p.Offsets[0] {
			return nil, fmt.Errorf("%w: %q of type %s and shape %v has %d bytes, not %d",
				ErrFormat, p.name, p.DType, p.Shape, size, p.Offsets[1]-p.Offsets[0])
		}
		end = p.Offsets[1]
	}
	if end > len(data) {
		return nil, fmt.Errorf("%w: %d of %d data bytes are there", ErrTruncated, len(data), end)
	}
	if end < len(data) {
		return nil, fmt.Errorf("%w: %d bytes follow the last tensor", ErrFormat, len(data)-end)
	}
	for _, p := range places {
		f.Tensors = append(f.Tensors, Tensor{p.name, p.DType, p.Shape, data[p.Offsets[0]:p.Offsets[1]:p.Offsets[1]]})
	}
	return f, nil
}

// place is a tensor as the header describes it.
type place struct {
	name string
	entry
}

// decodeHeader parses the JSON by tokens, because decoding into a map would
// hide duplicate names.
func decodeHeader(header []byte) (*File, []place, error) {
	d := json.NewDecoder(bytes.NewReader(header))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, errors.New("its header is not a JSON object")
	}
	f := &File{Metadata: map[string]string{}}
	var places []place
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("its header is broken: %w", err)
		}
		name, ok := t.(string)
		if !ok || seen[name] {
			return nil, nil, fmt.Errorf("the name %v appears twice", t)
		}
		seen[name] = true
		if name == metadataKey {
			if err := d.Decode(&f.Metadata); err != nil {
				return nil, nil, fmt.Errorf("its metadata are not strings: %w", err)
			}
			continue
		}
		var e struct {
			DType   DType `json:"dtype"`
			Shape   []int `json:"shape"`
			Offsets []int `json:"data_offsets"`
		}
		if err := d.Decode(&e); err != nil {
			return nil, nil, fmt.Errorf("the entry %q is broken: %w", name, err)
		}
		if len(e.Offsets) != 2 || e.Shape == nil {
			return nil, nil, fmt.Errorf("the entry %q lacks its shape or data_offsets", name)
		}
		places = append(places, place{name, entry{e.DType, e.Shape, [2]int(e.Offsets)}})
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, fmt.Errorf("its header is broken: %w", err)
	}
	if rest := bytes.TrimRight(header[d.InputOffset():], " \t\r\n\x00"); len(rest) > 0 {
		return nil, nil, errors.New("text follows its header")
	}
	if f.Metadata == nil { // "null"
		f.Metadata = map[string]string{}
	}
	return f, places, nil
}

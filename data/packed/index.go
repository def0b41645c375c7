package packed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// An index is a header of 64 bytes
//
//	magic "ortrain\x01", images, bytes of a label, 1 if there are places,
//	CRC-32C of the labels, 0…, CRC-32C of the header before
//
// and columns, each padded to 8 bytes: labels; checksums of the images, 4
// bytes; ends of the images in the shards' bytes taken one after the other, 8
// bytes (raw images need none); ends of the names, 8 bytes; the names.

const (
	magic      = "ortrain\x01"
	headerSize = 64
)

// index is an index in memory or mapped.
type index struct {
	images int
	width  int // bytes of a label
	labels []byte
	sums   []byte
	ends   []byte // nil for raw images
	named  []byte // ends of the names
	names  []byte
	crc    uint32 // of the labels
	counts []int  // images of each label
}

func pad(n int64) int64 { return (n + 7) &^ 7 }

// layout returns where the columns of an index begin, the names' last.
func layout(images, width int, places bool) [5]int64 {
	n := int64(images)
	var at [5]int64
	at[0] = headerSize
	at[1] = at[0] + pad(n*int64(width))
	at[2] = at[1] + pad(4*n)
	at[3] = at[2]
	if places {
		at[3] += 8 * n
	}
	at[4] = at[3] + 8*n
	return at
}

// appendHeader encodes the header.
func appendHeader(b []byte, images, width int, places bool, labels uint32) []byte {
	start := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(images))
	flag := byte(0)
	if places {
		flag = 1
	}
	b = append(b, byte(width), flag, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, labels)
	b = append(b, make([]byte, headerSize-4-(len(b)-start))...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], table))
}

// parseIndex checks the header and the labels of an index and divides it.
// Labels must be below classes. It does not touch the other columns.
func parseIndex(b []byte, images int, places bool, classes int) (*index, error) {
	if len(b) < headerSize || string(b[:8]) != magic {
		return nil, errors.New("not an index of packed images")
	}
	if crc32.Checksum(b[:headerSize-4], table) != binary.LittleEndian.Uint32(b[headerSize-4:]) {
		return nil, errDamaged
	}
	x := &index{images: images, width: int(b[16]), crc: binary.LittleEndian.Uint32(b[20:])}
	if n := binary.LittleEndian.Uint64(b[8:]); n != uint64(images) || (b[17] == 1) != places {
		return nil, fmt.Errorf("it indexes %d images, the manifest has %d; the two are not of one pack", n, images)
	}
	if x.width != 1 && x.width != 2 && x.width != 4 {
		return nil, errDamaged
	}
	at := layout(images, x.width, places)
	if int64(len(b)) < at[4] {
		return nil, errors.New("the index is cut off; pack the set again or copy it anew")
	}
	n := int64(images)
	// A copy, so that labels can be read without a guard.
	x.labels = bytes.Clone(b[at[0] : at[0]+n*int64(x.width)])
	x.sums = b[at[1] : at[1]+4*n]
	if places {
		x.ends = b[at[2] : at[2]+8*n]
	}
	x.named, x.names = b[at[3]:at[3]+8*n], b[at[4]:]
	if crc32.Checksum(x.labels, table) != x.crc {
		return nil, errDamaged
	}
	return x, x.checkLabels(classes)
}

var errDamaged = errors.New("the index is damaged (its checksum differs); copy it anew or pack the set again")

// checkLabels counts the labels, which must be below classes.
func (x *index) checkLabels(classes int) error {
	x.counts = make([]int, classes)
	for i := range x.images {
		l := x.label(i)
		if l >= classes {
			return fmt.Errorf("a label of %d, but there are %d classes; the index and the manifest are not of one pack", l, classes)
		}
		x.counts[l]++
	}
	return nil
}

func (x *index) label(i int) int {
	switch x.width {
	case 1:
		return int(x.labels[i])
	case 2:
		return int(binary.LittleEndian.Uint16(x.labels[2*i:]))
	}
	return int(binary.LittleEndian.Uint32(x.labels[4*i:]))
}

func (x *index) sum(i int) uint32 { return binary.LittleEndian.Uint32(x.sums[4*i:]) }

// span returns where image i lies in the shards' bytes. What the index says
// may be anything.
func (x *index) span(i, record int) (from, to uint64) {
	if x.ends == nil {
		return uint64(i) * uint64(record), uint64(i+1) * uint64(record)
	}
	if i > 0 {
		from = binary.LittleEndian.Uint64(x.ends[8*(i-1):])
	}
	return from, binary.LittleEndian.Uint64(x.ends[8*i:])
}

// name returns the name that image i had, or "" if the index does not tell.
func (x *index) name(i int) string {
	var from uint64
	if i > 0 {
		from = binary.LittleEndian.Uint64(x.named[8*(i-1):])
	}
	to := binary.LittleEndian.Uint64(x.named[8*i:])
	if from > to || to > uint64(len(x.names)) {
		return ""
	}
	return string(x.names[from:to])
}

package files

import "encoding/binary"

// Labels is a list of class numbers in one, two or four bytes each, as the
// largest needs. The zero value is empty. It is safe for concurrent reading.
type Labels struct {
	width int // bytes of a label; 0 while empty
	data  []byte
}

// Append adds a label from 0 to 2³²−1.
func (l *Labels) Append(label int) {
	if w := Width(label); w > l.width {
		l.widen(w)
	}
	switch l.width {
	case 1:
		l.data = append(l.data, byte(label))
	case 2:
		l.data = binary.LittleEndian.AppendUint16(l.data, uint16(label))
	default:
		l.data = binary.LittleEndian.AppendUint32(l.data, uint32(label))
	}
}

// Width returns the bytes that labels up to and including the given one take.
func Width(most int) int {
	switch {
	case most < 1<<8:
		return 1
	case most < 1<<16:
		return 2
	}
	return 4
}

func (l *Labels) widen(width int) {
	old := *l
	*l = Labels{width: width, data: make([]byte, 0, max(cap(old.data)/max(old.width, 1)*width, 64))}
	for i := range old.Len() {
		l.Append(old.At(i))
	}
}

// Len returns the number of labels.
func (l *Labels) Len() int {
	if l.width == 0 {
		return 0
	}
	return len(l.data) / l.width
}

// At returns label i.
func (l *Labels) At(i int) int {
	switch l.width {
	case 1:
		return int(l.data[i])
	case 2:
		return int(binary.LittleEndian.Uint16(l.data[2*i:]))
	}
	return int(binary.LittleEndian.Uint32(l.data[4*i:]))
}

// Width returns the bytes that each label takes; 0 while there are none.
func (l *Labels) Width() int { return l.width }

// Bytes returns the labels one after the other, little-endian. It must not be
// written to.
func (l *Labels) Bytes() []byte { return l.data }

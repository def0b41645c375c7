// Package files keeps lists of files compactly: millions of paths and labels
// in a few flat arrays that the garbage collector does not have to walk.
package files

// block is the number of names that share one 64-bit base.
const block = 256

// Names is an append-only list of strings: their bytes one after the other,
// with 32-bit ends relative to a base for every block. The zero value is
// empty. It is safe for concurrent reading.
type Names struct {
	text []byte
	base []int64
	ends []uint32
}

// Append adds a name. It panics if a block of names exceeds 4 GiB, which
// paths do not.
func (n *Names) Append(name string) {
	if len(n.ends)%block == 0 {
		n.base = append(n.base, int64(len(n.text)))
	}
	n.text = append(n.text, name...)
	end := int64(len(n.text)) - n.base[len(n.base)-1]
	if end != int64(uint32(end)) {
		panic("files: a block of names exceeds 4 GiB")
	}
	n.ends = append(n.ends, uint32(end))
}

// Len returns the number of names.
func (n *Names) Len() int { return len(n.ends) }

// At returns name i.
func (n *Names) At(i int) string { return string(n.bytes(i)) }

func (n *Names) bytes(i int) []byte {
	base, from := n.base[i/block], uint32(0)
	if i%block > 0 {
		from = n.ends[i-1]
	}
	return n.text[base+int64(from) : base+int64(n.ends[i])]
}

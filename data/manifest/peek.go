package manifest

import (
	"bufio"
	"bytes"
	"io"
	"strings"
)

// peeker is a reader whose beginning can be looked at; it drops a byte order
// mark.
type peeker struct{ *bufio.Reader }

func newPeeker(r io.Reader) *peeker {
	p := &peeker{bufio.NewReaderSize(r, 1<<16)}
	if b, err := p.Peek(3); err == nil && bytes.Equal(b, []byte("\xef\xbb\xbf")) {
		p.Discard(3)
	}
	return p
}

// firstLine returns the beginning of the first line.
func (p *peeker) firstLine() string {
	b, _ := p.Peek(4096)
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

func separator(line string) rune {
	switch {
	case strings.Contains(line, ","):
		return ','
	case strings.Contains(line, "\t"):
		return '\t'
	case strings.Contains(line, ";"):
		return ';'
	}
	return ','
}

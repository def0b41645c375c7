package webdataset

import (
	"errors"
	"io"
)

// cursor reads forward through a shard and skips by seeking, so that indexing
// touches little more than the headers. pos is always the place of the next
// byte that Read gives.
type cursor struct {
	at   io.ReaderAt
	size int64
	pos  int64
}

func (c *cursor) Read(p []byte) (int, error) {
	if c.pos >= c.size {
		return 0, io.EOF
	}
	if left := c.size - c.pos; int64(len(p)) > left {
		p = p[:left]
	}
	n, err := c.at.ReadAt(p, c.pos)
	c.pos += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (c *cursor) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.pos
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	c.pos = offset
	return offset, nil
}

// afterZeros tells whether the block before the cursor is one of zeros, as at
// the end of a tar file.
func (c *cursor) afterZeros() bool {
	var block [512]byte
	if c.pos < int64(len(block)) || c.pos > c.size {
		return false
	}
	_, err := c.at.ReadAt(block[:], c.pos-int64(len(block)))
	return (err == nil || err == io.EOF) && block == [512]byte{}
}

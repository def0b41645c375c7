package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image/gif"
	"image/png"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"
)

// header is what has to be known of a file before it is decoded. Width and
// height are those of the stored image.
type header struct {
	format      string
	w, h        int
	orientation int // 1 to 8
	components  int // of a JPEG
}

func (h *header) public() Header {
	out := Header{Format: h.format, W: h.w, H: h.h, Orientation: h.orientation}
	if h.orientation > 4 {
		out.W, out.H = h.h, h.w
	}
	return out
}

func readHeader(file []byte) (header, error) {
	h := header{format: sniff(file), orientation: 1}
	var err error
	r := func() *bytes.Reader { return bytes.NewReader(file) }
	switch h.format {
	case "jpeg":
		err = h.readJPEG(file)
	case "png":
		c, e := png.DecodeConfig(r())
		h.w, h.h, err = c.Width, c.Height, e
	case "webp":
		c, e := webp.DecodeConfig(r())
		h.w, h.h, err = c.Width, c.Height, e
	case "gif":
		c, e := gif.DecodeConfig(r())
		h.w, h.h, err = c.Width, c.Height, e
	case "bmp":
		c, e := bmp.DecodeConfig(r())
		h.w, h.h, err = c.Width, c.Height, e
	default:
		if len(file) == 0 {
			return h, errors.New("the file is empty")
		}
		return h, ErrFormat
	}
	if err != nil {
		return h, fmt.Errorf("damaged %s: %w", upper(h.format), err)
	}
	return h, nil
}

func upper(format string) string {
	switch format {
	case "jpeg":
		return "JPEG"
	case "webp":
		return "WebP"
	}
	return string(bytes.ToUpper([]byte(format)))
}

var (
	errCutHeader = errors.New("the file ends in the header")
	errNoFrame   = errors.New("it holds no image")
)

// readJPEG walks over the segments up to the first scan.
func (h *header) readJPEG(file []byte) error {
	for at := 2; ; {
		// A segment may be preceded by any number of fill bytes; other bytes
		// between segments are passed over as libjpeg does.
		for at < len(file) && file[at] != 0xff {
			at++
		}
		for at < len(file) && file[at] == 0xff {
			at++
		}
		if at >= len(file) {
			return errCutHeader
		}
		marker := file[at]
		at++
		switch {
		case marker == 0 || marker == 1 || marker >= 0xd0 && marker <= 0xd8:
			continue // no segment follows
		case marker == 0xd9:
			return errNoFrame
		}
		if at+2 > len(file) {
			return errCutHeader
		}
		n := int(binary.BigEndian.Uint16(file[at:]))
		if n < 2 {
			return errors.New("a segment of no length")
		}
		if at+n > len(file) {
			return errCutHeader
		}
		body := file[at+2 : at+n]
		at += n
		switch {
		case marker == 0xda: // start of scan
			if h.components == 0 {
				return errNoFrame
			}
			return nil
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			if len(body) < 6 {
				return errCutHeader
			}
			if body[0] != 8 {
				return fmt.Errorf("%d bits a sample; only 8 are supported", body[0])
			}
			h.h, h.w = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
			h.components = int(body[5])
			if h.components != 1 && h.components != 3 && h.components != 4 {
				return fmt.Errorf("%d colour components; 1, 3 and 4 are supported", h.components)
			}
			if h.w == 0 || h.h == 0 {
				return fmt.Errorf("a size of %d×%d", h.w, h.h)
			}
		case marker == 0xe1:
			if o := exifOrientation(body); o > 0 {
				h.orientation = o
			}
		}
	}
}

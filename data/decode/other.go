package decode

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// decodeOther decodes a whole file that is no JPEG.
func decodeOther(dst *pixel.Image, file []byte, h *header, channels int) error {
	var img image.Image
	var err error
	switch r := bytes.NewReader(file); h.format {
	case "png":
		img, err = png.Decode(r)
	case "webp":
		img, err = webp.Decode(r)
	case "bmp":
		img, err = bmp.Decode(r)
	case "gif":
		img, err = gif.Decode(bytes.NewReader(opaque(file)))
	}
	if err != nil {
		return fmt.Errorf("damaged %s: %s", upper(h.format), reason(err))
	}
	b := img.Bounds()
	if b.Min.X < 0 || b.Min.Y < 0 || b.Max.X > h.w || b.Max.Y > h.h {
		return fmt.Errorf("damaged %s: %w", upper(h.format), errors.New("the header gives two sizes"))
	}
	dst.Reset(pixel.Size{W: h.w, H: h.h, C: channels})
	if b.Dx() != h.w || b.Dy() != h.h {
		clear(dst.Pix) // a GIF's frame may be smaller than its canvas
	}
	copyImage(dst, img)
	return nil
}

// copyImage converts an image to 8 bits, dropping transparency.
func copyImage(dst *pixel.Image, img image.Image) {
	b := img.Bounds()
	var at func(x, y int) (r, g, bl uint8)
	switch img := img.(type) {
	case *image.YCbCr:
		fromWebP(dst, img)
		return
	case *image.NYCbCrA:
		fromWebP(dst, &img.YCbCr)
		return
	case *image.Gray:
		at = func(x, y int) (r, g, bl uint8) {
			v := img.Pix[img.PixOffset(x, y)]
			return v, v, v
		}
	case *image.RGBA: // from formats without transparency
		at = func(x, y int) (r, g, bl uint8) {
			p := img.Pix[img.PixOffset(x, y):]
			return p[0], p[1], p[2]
		}
	case *image.NRGBA:
		at = func(x, y int) (r, g, bl uint8) {
			p := img.Pix[img.PixOffset(x, y):]
			return p[0], p[1], p[2]
		}
	case *image.NRGBA64:
		at = func(x, y int) (r, g, bl uint8) {
			p := img.Pix[img.PixOffset(x, y):]
			return p[0], p[2], p[4]
		}
	case *image.Paletted:
		table := make([][3]uint8, 256)
		for i, c := range img.Palette {
			table[i] = plain(c)
		}
		at = func(x, y int) (r, g, bl uint8) {
			c := table[img.Pix[img.PixOffset(x, y)]]
			return c[0], c[1], c[2]
		}
	default:
		at = func(x, y int) (r, g, bl uint8) {
			c := plain(img.At(x, y))
			return c[0], c[1], c[2]
		}
	}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl := at(x, y)
			put(dst, y*dst.W+x, r, g, bl)
		}
	}
}

// plain returns a colour without its transparency.
func plain(c color.Color) [3]uint8 {
	switch c := c.(type) {
	case color.RGBA: // of a palette without transparency
		return [3]uint8{c.R, c.G, c.B}
	case color.NRGBA:
		return [3]uint8{c.R, c.G, c.B}
	}
	n := color.NRGBA64Model.Convert(c).(color.NRGBA64)
	return [3]uint8{uint8(n.R >> 8), uint8(n.G >> 8), uint8(n.B >> 8)}
}

// opaque returns a GIF whose first frame has no transparent colour, since the
// standard library forgets which colour that was.
func opaque(file []byte) []byte {
	const header = 13
	if len(file) < header {
		return file
	}
	at := header
	if flags := file[10]; flags&0x80 != 0 {
		at += 3 << (1 + flags&7)
	}
	for at+2 < len(file) && file[at] == 0x21 { // extensions
		if file[at+1] == 0xf9 && at+3 < len(file) && file[at+3]&1 != 0 {
			file = bytes.Clone(file)
			file[at+3] &^= 1
		}
		for at += 2; at < len(file) && file[at] != 0; {
			at += int(file[at]) + 1
		}
		at++
	}
	return file
}

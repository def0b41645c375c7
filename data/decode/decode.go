// Package decode turns image files into 8-bit pixels: JPEG (baseline,
// progressive, grey, CMYK), PNG, WebP, GIF (its first frame) and BMP.
//
// The pixels are those of Pillow's Image.open(file).convert("RGB"), turned
// upright as the EXIF data of a JPEG says: transparency is dropped, and of 16
// bits the upper eight are kept. JPEG files are decoded by libjpeg-turbo if
// the machine has it (it is loaded at run time), otherwise in Go; the two give
// the same pixels. Of a JPEG a part can be decoded, at full size or at a half, a
// quarter or an eighth of it, at a fraction of the cost.
package decode

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// MaxPixels is the size of the largest image that is decoded unless Options
// say otherwise: a file of a few bytes may declare any size.
const MaxPixels = 100 << 20

// LibraryVariable is the environment variable that names the libjpeg-turbo to
// load, or says "off".
const LibraryVariable = "ORTRAIN_LIBJPEG"

// ErrFormat is the error of a file that is no image of a known format.
var ErrFormat = errors.New("not a JPEG, PNG, WebP, GIF or BMP image")

// Options say how to decode.
type Options struct {
	// Grey asks for one channel, ITU-R 601 luma, instead of RGB.
	Grey bool
	// MaxPixels is the largest width times height; 0 means MaxPixels.
	MaxPixels int
	// Pure decodes JPEG files in Go even if libjpeg-turbo is there.
	Pure bool
}

func (o Options) channels() int {
	if o.Grey {
		return 1
	}
	return 3
}

// Window is a rectangle of the upright image, in its pixels.
type Window struct{ X, Y, W, H int }

// Header is what a file says of its image.
type Header struct {
	// Format is jpeg, png, webp, gif or bmp.
	Format string
	// W and H are the width and height of the upright image.
	W, H int
	// Orientation is the EXIF orientation of a JPEG, 1 to 8; 1 is upright.
	Orientation int
}

// Decoder says in words what decodes JPEG files here.
func Decoder() string {
	if lib := openLibjpeg(); lib != nil {
		return lib.String()
	}
	return "a decoder in Go (a fifth as fast as libjpeg-turbo, which is not installed)"
}

// Info reads the beginning of a file. It limits nothing and, for JPEG, does
// not allocate.
func Info(file []byte) (Header, error) {
	h, err := readHeader(file)
	if err != nil {
		return Header{}, err
	}
	return h.public(), nil
}

// Image decodes a whole file into dst, whose memory is used again if it is
// large enough.
func Image(dst *pixel.Image, file []byte, o Options) error {
	_, err := part(dst, file, o, nil, 0, 0)
	return err
}

// Part decodes at least the window of an image that an image of at least w×h
// is to be made of: dst holds the window with as little around it as the
// decoder allows, at 1/Shrink of the full size, where Shrink is 1, 2, 4 or 8
// and the shrunk window is no smaller than w×h. Each pixel of a shrunk image
// is the mean of those it stands for.
func Part(dst *pixel.Part, file []byte, o Options, window Window, w, h int) error {
	p, err := part(&dst.Image, file, o, &window, w, h)
	dst.X, dst.Y, dst.Shrink, dst.Of = p.X, p.Y, p.Shrink, p.Of
	return err
}

func part(dst *pixel.Image, file []byte, o Options, window *Window, w, h int) (p pixel.Part, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the decoder failed: %v", r)
		}
	}()
	head, err := readHeader(file)
	if err != nil {
		return p, err
	}
	limit := o.MaxPixels
	if limit == 0 {
		limit = MaxPixels
	}
	if head.w < 1 || head.h < 1 || head.w > limit/head.h {
		return p, fmt.Errorf("%s of %d×%d pixels; at most %d megapixels are decoded", upper(head.format), head.w, head.h, limit>>20)
	}
	up := head.public()
	p = pixel.Part{Shrink: 1, Of: pixel.Size{W: up.W, H: up.H, C: o.channels()}}
	if window == nil {
		window = &Window{0, 0, up.W, up.H}
	} else if window.X < 0 || window.Y < 0 || window.W < 1 || window.H < 1 || window.X+window.W > up.W || window.Y+window.H > up.H {
		return p, fmt.Errorf("a window of %+v of an image of %d×%d", *window, up.W, up.H)
	} else if head.format == "jpeg" && w > 0 && h > 0 {
		for p.Shrink < 8 && window.W >= 2*p.Shrink*w && window.H >= 2*p.Shrink*h {
			p.Shrink *= 2
		}
	}
	if head.format != "jpeg" {
		return p, decodeOther(dst, file, &head, o.channels())
	}
	// The window in the stored image, rounded outwards to shrunk pixels.
	stored := stored(*window, head.orientation, head.w, head.h)
	s := p.Shrink
	small := Window{X: stored.X / s, Y: stored.Y / s}
	small.W = (stored.X+stored.W+s-1)/s - small.X
	small.H = (stored.Y+stored.H+s-1)/s - small.Y
	back := upright(Window{small.X * s, small.Y * s, small.W * s, small.H * s}, head.orientation, head.w, head.h)
	p.X, p.Y = back.X, back.Y
	return p, decodeJPEG(dst, file, &head, o, s, small)
}

// decodeJPEG writes a window of the stored image, shrunk and turned upright.
func decodeJPEG(dst *pixel.Image, file []byte, h *header, o Options, shrink int, v Window) error {
	target := dst
	if h.orientation > 1 {
		target = turning.Get().(*pixel.Image)
		defer turning.Put(target)
	}
	target.Reset(pixel.Size{W: v.W, H: v.H, C: o.channels()})
	lib := openLibjpeg()
	var err error
	if lib == nil || o.Pure {
		err = decodeGo(target, file, h, shrink, v)
	} else if h.components == 4 {
		err = decodeInks(target, file, h, shrink, v, lib)
	} else {
		err = lib.decode(target.Pix, file, h, o.channels(), shrink, v)
	}
	if err != nil {
		return fmt.Errorf("damaged JPEG: %w", err)
	}
	turn(dst, target, h.orientation)
	return nil
}

// sniff names the format of a file by its first bytes.
func sniff(file []byte) string {
	switch {
	case bytes.HasPrefix(file, []byte("\xff\xd8\xff")):
		return "jpeg"
	case bytes.HasPrefix(file, []byte("\x89PNG\r\n\x1a\n")):
		return "png"
	case len(file) >= 12 && string(file[:4]) == "RIFF" && string(file[8:12]) == "WEBP":
		return "webp"
	case bytes.HasPrefix(file, []byte("GIF87a")), bytes.HasPrefix(file, []byte("GIF89a")):
		return "gif"
	case bytes.HasPrefix(file, []byte("BM")):
		return "bmp"
	}
	return ""
}

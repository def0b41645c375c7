package data

import (
	"errors"
	"fmt"
	"image"
	_ "image/gif" // register the decoders that ReadImage offers
	_ "image/jpeg"
	_ "image/png"
	"io"
	"os"

	_ "golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// MaxPixels is the largest image that ReadImage decodes: a file of a few bytes
// may declare any size.
const MaxPixels = 100 << 20

// ReadImage decodes a JPEG, PNG, GIF (first frame), BMP or WebP file and fits
// it to a size: scaled so that it covers the size, its middle cut out, and
// converted to 3 channels, or to 1 by luma. Transparency is laid over black.
func ReadImage(path string, size pixel.Size) (*pixel.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cfg, format, err := image.DecodeConfig(f)
	if errors.Is(err, image.ErrFormat) {
		return nil, fmt.Errorf("%s is not a JPEG, PNG, GIF, BMP or WebP image", path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: damaged image: %w", path, err)
	}
	if cfg.Width < 1 || cfg.Height < 1 || cfg.Width > MaxPixels/cfg.Height {
		return nil, fmt.Errorf("%s: %s of %d×%d pixels; at most %d megapixels are read", path, format, cfg.Width, cfg.Height, MaxPixels>>20)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	img, _, err := image.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: damaged image: %w", path, err)
	}
	return fit(img, size)
}

// fit scales, cuts and converts a decoded image.
func fit(img image.Image, size pixel.Size) (*pixel.Image, error) {
	if size.C != 1 && size.C != 3 {
		return nil, fmt.Errorf("images have 1 or 3 channels, not %d", size.C)
	}
	b := img.Bounds()
	// The largest rectangle of the target's shape in the middle of the image.
	w, h := b.Dx(), b.Dy()
	if w*size.H > h*size.W {
		w = max(1, h*size.W/size.H)
	} else {
		h = max(1, w*size.H/size.W)
	}
	from := image.Rect(0, 0, w, h).Add(b.Min).Add(image.Pt((b.Dx()-w)/2, (b.Dy()-h)/2))
	rgba := image.NewRGBA(image.Rect(0, 0, size.W, size.H))
	draw.Draw(rgba, rgba.Bounds(), image.Black, image.Point{}, draw.Src)
	draw.CatmullRom.Scale(rgba, rgba.Bounds(), img, from, draw.Over, nil)
	out := &pixel.Image{Size: size, Pix: make([]uint8, size.C*size.W*size.H)}
	for i := range size.W * size.H {
		p := rgba.Pix[4*i : 4*i+3]
		if size.C == 3 {
			copy(out.Pix[3*i:], p)
			continue
		}
		// ITU-R 601 luma in 16-bit fixed point, as Pillow's mode L.
		out.Pix[i] = uint8((19595*uint32(p[0]) + 38470*uint32(p[1]) + 7471*uint32(p[2]) + 1<<15) >> 16)
	}
	return out, nil
}

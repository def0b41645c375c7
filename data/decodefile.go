package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"slices"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// decodeFile decodes an image file at its full size into 8-bit RGB.
// Transparency is laid over black.
func decodeFile(dst *pixel.Image, file []byte) error {
	cfg, format, err := image.DecodeConfig(bytes.NewReader(file))
	if errors.Is(err, image.ErrFormat) {
		return errors.New("not a JPEG, PNG, GIF, BMP or WebP image")
	}
	if err != nil {
		return fmt.Errorf("damaged image: %w", err)
	}
	if cfg.Width < 1 || cfg.Height < 1 || cfg.Width > MaxPixels/cfg.Height {
		return fmt.Errorf("%s of %d×%d pixels; at most %d megapixels are read", format, cfg.Width, cfg.Height, MaxPixels>>20)
	}
	img, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return fmt.Errorf("damaged image: %w", err)
	}
	b := img.Bounds()
	rgba := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(rgba, rgba.Bounds(), img, b.Min, draw.Src)
	dst.Size = pixel.Size{W: b.Dx(), H: b.Dy(), C: 3}
	n := dst.Size.Elements()
	dst.Pix = slices.Grow(dst.Pix[:0], n)[:n]
	for i := range b.Dx() * b.Dy() {
		copy(dst.Pix[3*i:3*i+3], rgba.Pix[4*i:4*i+3])
	}
	return nil
}

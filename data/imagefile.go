package data

import (
	"fmt"
	"os"

	"github.com/ortrain/ortrain/data/decode"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
)

// ReadImage decodes an image file (see package decode) and fits it to a size:
// the largest rectangle of the size's shape in the middle of the image,
// resized with an antialiasing bicubic filter, in 3 channels, or in 1 by luma.
func ReadImage(path string, size pixel.Size) (*pixel.Image, error) {
	if size.C != 1 && size.C != 3 {
		return nil, fmt.Errorf("images have 1 or 3 channels, not %d", size.C)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var img pixel.Image
	if err := decode.Image(&img, file, decode.Options{Grey: size.C == 1}); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	w, h := img.W, img.H
	if w*size.H > h*size.W {
		w = max(1, h*size.W/size.H)
	} else {
		h = max(1, w*size.H/size.W)
	}
	out := &pixel.Image{}
	out.Reset(size)
	new(pil.Resizer).Resize(pil.Image{W: size.W, H: size.H, C: size.C, Pix: out.Pix},
		pil.Image{W: img.W, H: img.H, C: size.C, Pix: img.Pix},
		pil.Crop{X: (img.W - w) / 2, Y: (img.H - h) / 2, W: w, H: h}, pil.Bicubic)
	return out, nil
}

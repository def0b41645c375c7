package data

import (
	"fmt"
	"slices"

	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
)

// source is a worker's memory for images as they are read.
type source struct {
	image pixel.Image
	fit   fitter
}

// read returns an image in the size of its source, valid until the next call.
func (s *source) read(from Source, i int) (*pixel.Image, error) {
	if err := from.Read(i, &s.image); err != nil {
		return nil, err
	}
	return s.fit.fit(&s.image, from.Size())
}

// partners are the images of a subset as transforms take them in beside an
// image.
type partners struct {
	set    *Subset
	memory source
}

// Len implements pixel.Partners.
func (p *partners) Len() int { return p.set.Len() }

// Read implements pixel.Partners.
func (p *partners) Read(i int) (*pixel.Image, error) {
	return p.memory.read(p.set.Source, p.set.At(i))
}

// fitter brings images of any size to one: the largest window of its shape in
// the middle of the image, resized with antialias.
type fitter struct {
	resizer pil.Resizer
	out     pixel.Image
}

// fit returns the image in a size, which is the image itself where it has it
// already. The result is valid until the next call.
func (f *fitter) fit(img *pixel.Image, size pixel.Size) (*pixel.Image, error) {
	if img.Size == size {
		return img, nil
	}
	if img.C != size.C {
		return nil, fmt.Errorf("has %d channels, not %d", img.C, size.C)
	}
	w, h := img.W, img.H
	if w*size.H > h*size.W {
		w = max(1, h*size.W/size.H)
	} else {
		h = max(1, w*size.H/size.W)
	}
	n := size.Elements()
	f.out.Size, f.out.Pix = size, slices.Grow(f.out.Pix[:0], n)[:n]
	f.resizer.Resize(view(&f.out), view(img), pil.Crop{X: (img.W - w) / 2, Y: (img.H - h) / 2, W: w, H: h}, pil.Bilinear)
	return &f.out, nil
}

func view(m *pixel.Image) pil.Image { return pil.Image{W: m.W, H: m.H, C: m.C, Pix: m.Pix} }

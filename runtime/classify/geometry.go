package classify

import (
	"fmt"

	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
)

// geometry says how an image is scaled and cut to the model's size. It is what
// an export with preprocessing puts into the graph.
type geometry struct {
	size   pixel.Size
	resize int // see runtime.ModelInfo.Resize
	filter pil.Filter
}

// filters are the values of runtime.MetaInterpolation.
var filters = map[string]pil.Filter{"": pil.Bilinear, "bilinear": pil.Bilinear, "bicubic": pil.Bicubic}

func (g *geometry) scaling(resize int, interpolation string) error {
	var ok bool
	if g.filter, ok = filters[interpolation]; !ok {
		return fmt.Errorf("its metadata names the interpolation %q; known: bilinear, bicubic", interpolation)
	}
	if resize != 0 && resize < max(g.size.H, g.size.W) {
		return fmt.Errorf("its metadata scales images to %d pixels, which is less than the input's %d×%d", resize, g.size.H, g.size.W)
	}
	g.resize = resize
	return nil
}

// fit returns the part of img that the model sees, in its size: img itself if
// it is that, else memory of w.
func (g *geometry) fit(w *worker, img *pixel.Image) *pixel.Image {
	if g.resize == 0 {
		if img.Size == g.size {
			return img
		}
		crop := pil.Crop{W: img.W, H: img.H}
		if img.W*g.size.H > img.H*g.size.W {
			crop.W = max(1, img.H*g.size.W/g.size.H)
		} else {
			crop.H = max(1, img.W*g.size.H/g.size.W)
		}
		crop.X, crop.Y = (img.W-crop.W)/2, (img.H-crop.H)/2
		w.scale(img, crop, g.size.W, g.size.H, g.filter)
		return &w.scaled
	}
	short := min(img.W, img.H)
	width, height := img.W*g.resize/short, img.H*g.resize/short
	if width == img.W && height == img.H {
		w.cut(img, g.size)
	} else {
		w.scale(img, pil.Crop{W: img.W, H: img.H}, width, height, g.filter)
		w.cut(&w.scaled, g.size)
	}
	return &w.middle
}

// half returns margin/2 with halves rounded to even, as Python's round and so
// torchvision's CenterCrop have it.
func half(margin int) int {
	if margin%4 == 3 {
		return margin/2 + 1
	}
	return margin / 2
}

// worker is memory for one image at a time.
type worker struct {
	decoded, scaled, middle pixel.Image
	resizer                 pil.Resizer
}

// scale writes a window of src to w.scaled.
func (w *worker) scale(src *pixel.Image, crop pil.Crop, width, height int, f pil.Filter) {
	w.scaled.Reset(pixel.Size{W: width, H: height, C: src.C})
	w.resizer.Resize(view(&w.scaled), view(src), crop, f)
}

// cut writes the middle of src to w.middle.
func (w *worker) cut(src *pixel.Image, size pixel.Size) {
	w.middle.Reset(size)
	x, y := half(src.W-size.W), half(src.H-size.H)
	row := size.W * size.C
	for i := range size.H {
		copy(w.middle.Pix[i*row:(i+1)*row], src.Pix[((y+i)*src.W+x)*src.C:])
	}
}

func view(m *pixel.Image) pil.Image { return pil.Image{W: m.W, H: m.H, C: m.C, Pix: m.Pix} }

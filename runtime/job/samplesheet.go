package job

import (
	"context"
	"fmt"
	"image"

	"golang.org/x/image/draw"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// SampleSheetConfig says which images to draw.
type SampleSheetConfig struct {
	Set *data.Dataset
	// Out is the PNG file to write.
	Out string
	// Classes and Images are the largest numbers of classes, and of training
	// images of each; 0 means 40 and 8.
	Classes, Images int
}

// SampleSheet draws training images of each class as they are stored, the
// first of each class, to be looked at. Broken ones are left out.
func SampleSheet(ctx context.Context, c SampleSheetConfig) error {
	if c.Classes == 0 {
		c.Classes = 40
	}
	if c.Images == 0 {
		c.Images = 8
	}
	set, names := c.Set.Train, c.Set.Classes
	shown := min(c.Classes, len(names))
	chosen := make([][]int, shown)
	left := shown * c.Images
	counts := set.Counts()
	for i := 0; i < set.Len() && left > 0; i++ {
		// The first, and a little more than needed, in case some are broken.
		if l := set.Label(i); l < shown && len(chosen[l]) < c.Images+4 {
			chosen[l] = append(chosen[l], i)
		}
	}
	s := sheet{title: fmt.Sprintf("Training images of %s", c.Set.Name), columns: c.Images}
	if shown < len(names) {
		s.title += fmt.Sprintf(", the first %d of %d classes", shown, len(names))
	}
	var img pixel.Image
	for l, list := range chosen {
		b := band{heading: names[l], remark: fmt.Sprintf("%d images", counts[l])}
		for _, i := range list {
			if err := ctx.Err(); err != nil {
				return err
			}
			if len(b.pictures) == c.Images {
				break
			}
			if err := set.Source.Read(set.At(i), &img); err != nil {
				continue
			}
			b.pictures = append(b.pictures, picture{img: thumbnail(&img), lines: []string{fmt.Sprintf("%d×%d", img.W, img.H)}})
		}
		s.bands = append(s.bands, b)
	}
	_, err := s.store(c.Out)
	return err
}

// thumbnail shows an image in a square, small ones enlarged with hard edges.
func thumbnail(m *pixel.Image) *image.RGBA {
	full := image.NewRGBA(image.Rect(0, 0, m.W, m.H))
	for i := range m.W * m.H {
		for k := range 3 {
			full.Pix[4*i+k] = m.Pix[i*m.C+min(k, m.C-1)]
		}
		full.Pix[4*i+3] = 0xff
	}
	longer := max(m.W, m.H)
	var scale draw.Scaler = draw.BiLinear
	w, h := max(1, m.W*comfort/longer), max(1, m.H*comfort/longer)
	if longer <= comfort/2 {
		scale = draw.NearestNeighbor
		factor := enlargement(m.Size)
		w, h = m.W*factor, m.H*factor
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	scale.Scale(out, out.Bounds(), full, full.Bounds(), draw.Src, nil)
	return out
}

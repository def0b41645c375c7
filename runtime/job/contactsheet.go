package job

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"strings"

	xdraw "golang.org/x/image/draw"
	xfont "golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"

	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// The look of a contact sheet, in pixels.
const (
	margin     = 16
	gap        = 10 // between pictures
	lineHeight = 15
	comfort    = 96   // small images are enlarged to about this width
	widest     = 1600 // of a sheet, unless a row has one picture
)

var (
	sheetInk   = color.RGBA{0x33, 0x33, 0x33, 0xff}
	sheetFaint = color.RGBA{0x77, 0x77, 0x77, 0xff}
)

// band is a row of pictures under a heading.
type band struct {
	heading string
	// remark stands behind the heading in grey.
	remark   string
	pictures []picture
}

// picture is an image with lines of text under it, the first darker.
type picture struct {
	img   *image.RGBA
	lines []string
}

// sheet lays bands out below each other.
type sheet struct {
	title string
	bands []band
	// columns is the number of pictures of a line; 0 fits as many as the
	// widest sheet holds.
	columns int
}

// faces are the letters of a sheet.
type faces struct{ plain, bold, title xfont.Face }

func newFaces() faces {
	cache := font.NewCache(liberation.Collection())
	face := func(size font.Length, weight xfont.Weight) xfont.Face {
		f := cache.Lookup(font.Font{Typeface: "Liberation", Variant: "Sans", Weight: weight}, size)
		return f.FontFace(72) // one pixel a point
	}
	return faces{face(12, xfont.WeightNormal), face(13, xfont.WeightBold), face(17, xfont.WeightBold)}
}

// draw renders the sheet.
func (s sheet) draw() *image.RGBA {
	f := newFaces()
	cellW, lines := 1, 0
	most := 1
	for _, b := range s.bands {
		most = max(most, len(b.pictures))
		for _, p := range b.pictures {
			cellW = max(cellW, p.img.Bounds().Dx())
			lines = max(lines, len(p.lines))
		}
	}
	columns := s.columns
	if columns == 0 {
		columns = min(most, max(1, (widest-2*margin+gap)/(cellW+gap)))
		rows := (most + columns - 1) / columns
		columns = (most + rows - 1) / rows // equally long lines
	}
	width := 2*margin + columns*(cellW+gap) - gap
	width = max(width, 2*margin+xfont.MeasureString(f.title, s.title).Ceil())
	for _, b := range s.bands {
		width = max(width, 2*margin+xfont.MeasureString(f.bold, b.heading+"   ").Ceil()+xfont.MeasureString(f.plain, b.remark).Ceil())
	}
	width = min(width, 4*widest)
	height := margin + 26
	for _, b := range s.bands {
		height += b.height(columns) + gap
	}
	img := image.NewRGBA(image.Rect(0, 0, width, height+margin-gap))
	draw.Draw(img, img.Bounds(), image.White, image.Point{}, draw.Src)
	write(img, f.title, sheetInk, margin, margin+14, s.title, width-2*margin)
	y := margin + 26
	for _, b := range s.bands {
		write(img, f.bold, sheetInk, margin, y+14, b.heading, width-2*margin)
		x := margin + xfont.MeasureString(f.bold, b.heading+"   ").Ceil()
		write(img, f.plain, sheetFaint, x, y+14, b.remark, width-margin-x)
		top := y + 22
		for i := 0; i < len(b.pictures); i += columns {
			row := b.pictures[i:min(i+columns, len(b.pictures))]
			tall, deep := extent(row)
			for k, p := range row {
				left := margin + k*(cellW+gap)
				at := image.Rect(left, top, left+p.img.Bounds().Dx(), top+p.img.Bounds().Dy())
				draw.Draw(img, at, p.img, image.Point{}, draw.Src)
				for n, line := range p.lines {
					ink := sheetInk
					if n > 0 {
						ink = sheetFaint
					}
					write(img, f.plain, ink, left, top+tall+13+n*lineHeight, line, cellW+gap-3)
				}
			}
			top += tall + deep
		}
		y += b.height(columns) + gap
	}
	return img
}

// height is what a band takes, its heading included.
func (b band) height(columns int) int {
	h := 22
	for i := 0; i < len(b.pictures); i += columns {
		tall, deep := extent(b.pictures[i:min(i+columns, len(b.pictures))])
		h += tall + deep
	}
	return h
}

// extent is the height of a line of pictures, and of the text below it.
func extent(row []picture) (tall, deep int) {
	for _, p := range row {
		tall, deep = max(tall, p.img.Bounds().Dy()), max(deep, len(p.lines)*lineHeight)
	}
	return tall, deep + gap
}

// write draws text from a baseline on, cut to a width.
func write(img draw.Image, face xfont.Face, ink color.Color, x, y int, text string, width int) {
	text = strings.Join(strings.Fields(text), " ")
	if limit := fixed.I(width); xfont.MeasureString(face, text) > limit {
		letters := []rune(text)
		for len(letters) > 0 && xfont.MeasureString(face, string(letters)+"…") > limit {
			letters = letters[:len(letters)-1]
		}
		text = string(letters) + "…"
	}
	d := xfont.Drawer{Dst: img, Src: image.NewUniform(ink), Face: face, Dot: fixed.P(x, y)}
	d.DrawString(text)
}

// enlargement is the whole factor by which images of a size are enlarged.
func enlargement(size pixel.Size) int {
	return max(1, int(math.Round(float64(comfort)/float64(max(size.W, 1)))))
}

// denormalise turns planes, C×H×W, back into a picture, enlarged by a whole
// factor with hard edges, so that what is seen is what the network gets.
func denormalise(x []float32, size pixel.Size, mean, std []float64, factor int) *image.RGBA {
	small := image.NewRGBA(image.Rect(0, 0, size.W, size.H))
	plane := size.W * size.H
	for i := range plane {
		var rgb [3]uint8
		for c := range rgb {
			k := min(c, size.C-1) // one channel is grey
			v := math.Round((float64(x[k*plane+i])*std[k] + mean[k]) * 255)
			rgb[c] = uint8(min(max(v, 0), 255))
		}
		copy(small.Pix[4*i:], []uint8{rgb[0], rgb[1], rgb[2], 0xff})
	}
	if factor == 1 {
		return small
	}
	large := image.NewRGBA(image.Rect(0, 0, size.W*factor, size.H*factor))
	xdraw.NearestNeighbor.Scale(large, large.Bounds(), small, small.Bounds(), draw.Src, nil)
	return large
}

// store writes the sheet as a PNG and returns its size.
func (s sheet) store(path string) (image.Point, error) {
	img := s.draw()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return image.Point{}, fmt.Errorf("cannot draw %s: %w", path, err)
	}
	return img.Bounds().Size(), atomicfile.Write(path, b.Bytes())
}

package metrics

import (
	"bytes"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// picture is a row of panels below a title.
type picture struct {
	canvas *vgimg.Canvas
	whole  draw.Canvas
	below  vg.Length // the height of the title
}

// newPicture writes title and subtitle on an empty picture.
func newPicture(height vg.Length, title, subtitle string) *picture {
	p := &picture{below: 1.06 * vg.Inch}
	p.canvas = vgimg.NewWith(vgimg.UseWH(pictureWidth, height), vgimg.UseDPI(pictureDPI), vgimg.UseBackgroundColor(color.White))
	p.whole = draw.New(p.canvas)
	middle, top := p.whole.Center().X, p.whole.Max.Y-0.16*vg.Inch
	p.whole.FillText(lettering(17, inkColor, true, draw.XCenter), vg.Point{X: middle, Y: top}, title)
	p.whole.FillText(lettering(11.5, faintColor, false, draw.XCenter), vg.Point{X: middle, Y: top - 0.31*vg.Inch}, subtitle)
	return p
}

// panels draws plots side by side, with room below them, and returns where the
// first one's data begin.
func (p *picture) panels(titles []string, panels []*plot.Plot, room vg.Length) (left vg.Length) {
	tiles := draw.Tiles{Rows: 1, Cols: len(panels), PadX: 0.35 * vg.Inch,
		PadLeft: 0.2 * vg.Inch, PadRight: 0.3 * vg.Inch, PadTop: p.below, PadBottom: 0.15*vg.Inch + room}
	cells := plot.Align([][]*plot.Plot{panels}, tiles, p.whole)
	for i, panel := range panels {
		cell := cells[0][i]
		panel.Draw(cell)
		// The plots' own titles would sit at different heights.
		at := vg.Point{X: panel.DataCanvas(cell).Min.X, Y: p.whole.Max.Y - p.below + 0.24*vg.Inch}
		p.whole.FillText(lettering(13, inkColor, true, draw.XLeft), at, titles[i])
	}
	return panels[0].DataCanvas(cells[0][0]).Min.X
}

// png encodes the picture.
func (p *picture) png() ([]byte, error) { return encodePNG(p.canvas) }

func encodePNG(c *vgimg.Canvas) ([]byte, error) {
	var b bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: c}).WriteTo(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

package metrics

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/ortrain/ortrain/data/atomicfile"
)

// Figure is a picture of one panel in the style of a run's curves.
type Figure struct {
	// Title, and Subtitle in smaller letters below it, may be empty.
	Title, Subtitle string
	XLabel, YLabel  string
	// LogX draws x on a logarithmic scale; all x must be above 0.
	LogX   bool
	Series []Series
	// Marks are vertical lines with a word at their top.
	Marks []Mark
	// ZeroBased lets the y axis begin at 0.
	ZeroBased bool
}

// Series is one line of a figure. Points that are not finite are left out.
type Series struct {
	Name   string
	X, Y   []float64
	Accent Accent
}

// Mark is a place on the x axis that is pointed out.
type Mark struct {
	X    float64
	Name string
}

// Accent is the role of a line, which gives its colour and width.
type Accent int

// The roles.
const (
	Main  Accent = iota // what the figure is about
	Other               // a second line of equal weight
	Faint               // background, such as raw data behind a smoothed line
)

const (
	figureWidth  = 8 * vg.Inch
	figureHeight = 5 * vg.Inch
)

// Write draws the figure and stores it as a PNG at path.
func (f Figure) Write(path string) error {
	b, err := f.PNG()
	if err != nil {
		return fmt.Errorf("cannot draw %s: %w", path, err)
	}
	return atomicfile.Write(path, b)
}

// PNG draws the figure: 960 × 600 pixels.
func (f Figure) PNG() ([]byte, error) {
	lines := make([]plotter.XYs, len(f.Series))
	points := 0
	for i, s := range f.Series {
		for k := range s.X {
			x, y := s.X[k], s.Y[k]
			if !math.IsNaN(x+y) && !math.IsInf(x, 0) && !math.IsInf(y, 0) && (!f.LogX || x > 0) {
				lines[i] = append(lines[i], plotter.XY{X: x, Y: y})
			}
		}
		points += len(lines[i])
	}
	if points == 0 {
		return nil, errors.New("no points to draw")
	}
	p := f.panel()
	for i, s := range f.Series {
		ink, width := rateColor, vg.Length(1.8)
		switch s.Accent {
		case Other:
			ink = testColor
		case Faint:
			ink, width = color.RGBA{0xb5, 0xc9, 0xbc, 0xff}, 1
		}
		if len(lines[i]) == 0 {
			continue
		}
		line := &plotter.Line{XYs: lines[i], LineStyle: draw.LineStyle{Color: ink, Width: width}}
		p.Add(line)
		if s.Name != "" {
			p.Legend.Add(s.Name, line)
		}
		if len(lines[i]) == 1 {
			p.Add(&plotter.Scatter{XYs: lines[i], GlyphStyle: draw.GlyphStyle{Color: ink, Radius: 2.6, Shape: draw.CircleGlyph{}}})
		}
	}
	f.limits(p, lines)
	p.Add(marks(f.Marks))
	canvas := vgimg.NewWith(vgimg.UseWH(figureWidth, figureHeight), vgimg.UseDPI(pictureDPI), vgimg.UseBackgroundColor(color.White))
	whole := draw.New(canvas)
	middle, top := whole.Center().X, whole.Max.Y-0.16*vg.Inch
	whole.FillText(lettering(15, inkColor, true, draw.XCenter), vg.Point{X: middle, Y: top}, f.Title)
	whole.FillText(lettering(10.5, faintColor, false, draw.XCenter), vg.Point{X: middle, Y: top - 0.28*vg.Inch}, f.Subtitle)
	p.Draw(draw.Crop(whole, 0.2*vg.Inch, -0.35*vg.Inch, 0.15*vg.Inch, -0.95*vg.Inch))
	return encodePNG(canvas)
}

// panel makes the empty plot.
func (f Figure) panel() *plot.Plot {
	p := Curves{Epochs: []Epoch{{Epoch: 2}}}.panel()
	p.X.Label.Text, p.Y.Label.Text = f.XLabel, f.YLabel
	p.Y.Label.TextStyle.Font, p.Y.Label.TextStyle.Color = p.X.Label.TextStyle.Font, inkColor
	p.Y.Label.Padding = 4
	p.X.Min, p.X.Max = math.Inf(1), math.Inf(-1)
	p.Legend.Top, p.Legend.YOffs = true, -14
	p.X.Tick.Marker = valueTicks{}
	if f.LogX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, powerTicks{}
	}
	return p
}

// limits sets the axes: x to the data, y with a little space around it.
func (f Figure) limits(p *plot.Plot, lines []plotter.XYs) {
	low, high := math.Inf(1), math.Inf(-1)
	for i, xy := range lines {
		for _, v := range xy {
			low = min(low, v.Y)
			// Raw data that explodes may leave the picture at its top.
			if f.Series[i].Accent != Faint || len(f.Series) == 1 {
				high = max(high, v.Y)
			}
		}
	}
	if f.ZeroBased {
		low = min(low, 0)
	}
	if high <= low {
		low, high = low-0.5*math.Abs(low), high+0.5*math.Abs(high)
		if high <= low {
			low, high = 0, 1
		}
	}
	pad := 0.08 * (high - low)
	p.Y.Min, p.Y.Max = low-pad, high+pad
	if f.ZeroBased && low == 0 {
		p.Y.Min = 0
	}
	if p.X.Max <= p.X.Min {
		p.X.Max = p.X.Min + 1
	}
}

// marks draws vertical lines.
type marks []Mark

// Plot implements plot.Plotter.
func (m marks) Plot(c draw.Canvas, p *plot.Plot) {
	tx, _ := p.Transforms(&c)
	style := draw.LineStyle{Color: faintColor, Width: 0.8, Dashes: []vg.Length{3, 3}}
	label := lettering(10, faintColor, false, draw.XLeft)
	edge := -vg.Length(math.MaxFloat64) // right end of the last label in the upper row
	for _, mark := range m {
		if mark.X < p.X.Min || mark.X > p.X.Max {
			continue
		}
		x := tx(mark.X)
		y := c.Max.Y + 14
		if x < edge {
			y -= 11 // below the one it would touch
		}
		c.StrokeLine2(style, x, c.Min.Y, x, y-3)
		at, align := x+3, draw.XLeft
		if width := label.Width(mark.Name); at+width > c.Max.X+20 {
			at, align = x-3, draw.XRight
		} else {
			edge = at + width
		}
		l := label
		l.XAlign, l.YAlign = align, text.YTop
		c.FillText(l, vg.Point{X: at, Y: y}, mark.Name)
	}
}

// powerTicks marks powers of ten, and between them where there is room.
type powerTicks struct{}

// Ticks implements plot.Ticker.
func (powerTicks) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	every := math.Ceil((last - first) / 10)
	for e := first; e <= last; e++ {
		for _, m := range []float64{1, 2, 5} {
			v := m * math.Pow(10, e)
			if v < low*(1-1e-9) || v > high*(1+1e-9) {
				continue
			}
			t := plot.Tick{Value: v}
			if m == 1 && math.Mod(e-first, every) == 0 || last-first <= 3 {
				t.Label = strconv.FormatFloat(v, 'g', 3, 64)
			}
			if m == 1 || last-first <= 5 {
				ticks = append(ticks, t)
			}
		}
	}
	return ticks
}

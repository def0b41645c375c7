package metrics

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/ortrain/ortrain/data/atomicfile"
)

// Overlay is a picture of several runs: training loss, held-out loss and
// held-out accuracy over the epochs, one colour a run.
type Overlay struct {
	Title, Subtitle string
	Runs            []Course
}

// Course is the history of one run in an overlay.
type Course struct {
	Name   string
	Epochs []Epoch
}

// MostOverlaid is the largest number of runs in an overlay: more would not be
// told apart.
const MostOverlaid = 24

// The colours of Okabe and Ito, which people who see fewer colours tell apart;
// where they are used up they come again in dashes.
var overlayColors = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xe6, 0x9f, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xd5, 0x5e, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x33, 0x33, 0x33, 0xff}, {0xb8, 0xa8, 0x00, 0xff},
}

var overlayDashes = [][]vg.Length{nil, {7, 3}, {2, 2.5}}

// Write draws the picture and stores it as a PNG at path.
func (o Overlay) Write(path string) error {
	b, err := o.PNG()
	if err != nil {
		return fmt.Errorf("cannot draw %s: %w", path, err)
	}
	return atomicfile.Write(path, b)
}

// PNG draws the three panels side by side, and below them the names of the runs
// in columns.
func (o Overlay) PNG() ([]byte, error) {
	var runs []Course
	for _, r := range o.Runs {
		if len(r.Epochs) > 0 {
			runs = append(runs, r)
		}
	}
	if len(runs) == 0 {
		return nil, errors.New("no run has a complete epoch to draw")
	}
	if len(runs) > MostOverlaid {
		return nil, fmt.Errorf("%d runs are too many for one picture; it takes %d", len(runs), MostOverlaid)
	}
	const columns, row = 3, 0.24 * vg.Inch
	rows := (len(runs) + columns - 1) / columns
	legend := vg.Length(rows)*row + 0.2*vg.Inch
	titles := []string{"Training loss", "Held-out loss", "Held-out accuracy (top-1, %)"}
	values := []func(Epoch) float64{
		func(e Epoch) float64 { return e.TrainLoss },
		func(e Epoch) float64 { return e.TestLoss },
		func(e Epoch) float64 { return 100 * e.TestAccuracy },
	}
	panels := make([]*plot.Plot, len(values))
	for i, value := range values {
		var cut bool
		if panels[i], cut = overlayPanel(runs, value); cut {
			titles[i] += ", cut off"
		}
	}
	subtitle := o.Subtitle
	if subtitle == "" {
		subtitle = Curves{Epochs: runs[0].Epochs}.result()
	}
	p := newPicture(pictureHeight+legend, o.Title, subtitle)
	left, whole := p.panels(titles, panels, legend), p.whole
	width := (whole.Max.X - left - 0.3*vg.Inch) / columns
	for i, r := range runs {
		x := left + vg.Length(i/rows)*width
		y := whole.Min.Y + legend - 0.1*vg.Inch - vg.Length(i%rows)*row
		whole.StrokeLine2(overlayStyle(i), x, y-0.07*vg.Inch, x+0.4*vg.Inch, y-0.07*vg.Inch)
		whole.FillText(lettering(11, inkColor, false, draw.XLeft), vg.Point{X: x + 0.5*vg.Inch, Y: y}, fitted(r.Name, 44))
	}
	return p.png()
}

// overlayPanel draws one value of all runs. A run that diverged would flatten
// all others: what is beyond the reach of the rest is cut off.
func overlayPanel(runs []Course, value func(Epoch) float64) (p *plot.Plot, cut bool) {
	last := 1
	for _, r := range runs {
		last = max(last, r.Epochs[len(r.Epochs)-1].Epoch)
	}
	p = Curves{Epochs: []Epoch{{Epoch: max(last, 2)}}}.panel()
	p.X.Max = float64(last)
	low, high := math.Inf(1), math.Inf(-1)
	var all []float64
	for i, r := range runs {
		xy := Curves{Epochs: r.Epochs}.series(value)
		for _, at := range xy {
			all = append(all, at.Y)
		}
		if len(xy) == 0 {
			continue
		}
		style := overlayStyle(i)
		p.Add(&plotter.Line{XYs: xy, LineStyle: style})
		if len(xy) == 1 {
			p.Add(&plotter.Scatter{XYs: xy, GlyphStyle: draw.GlyphStyle{Color: style.Color, Radius: 2.6, Shape: draw.CircleGlyph{}}})
		}
	}
	slices.Sort(all)
	for _, y := range all {
		if cut = y > beyondReach*all[len(all)/4] && all[len(all)/4] > 0; cut {
			break
		}
		low, high = min(low, y), max(high, y)
	}
	if low > high { // no run has the value
		low, high = 0, 1
	}
	room := max(0.05*(high-low), 1e-3*max(math.Abs(high), 1e-3))
	p.Y.Min, p.Y.Max = low-room, high+room
	if low >= 0 {
		p.Y.Min = max(0, p.Y.Min)
	}
	return p, cut
}

// beyondReach is how many times the lower quartile a value may be to be drawn.
const beyondReach = 100

// overlayStyle is the line of run i.
func overlayStyle(i int) draw.LineStyle {
	n := len(overlayColors)
	return draw.LineStyle{Color: overlayColors[i%n], Width: 1.8, Dashes: overlayDashes[i/n%len(overlayDashes)]}
}

// fitted shortens a name to n characters, in the middle.
func fitted(name string, n int) string {
	r := []rune(name)
	if len(r) <= n {
		return name
	}
	return string(r[:n/2-1]) + "…" + string(r[len(r)-n/2:])
}

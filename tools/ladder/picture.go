package main

import (
	"bytes"
	"errors"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// points are the changes of the rows with their deviations.
type points []line

func (p points) Len() int                         { return len(p) }
func (p points) XY(i int) (x, y float64)          { return p[i].change, float64(i) }
func (p points) XError(i int) (low, high float64) { return -p[i].spread, p[i].spread }

// png draws the change of each row, best at the top.
func (t table) png() ([]byte, error) {
	var rows points
	for _, l := range t.lines {
		if l.name != "baseline" {
			rows = append(rows, l)
		}
	}
	if len(rows) == 0 {
		return nil, errors.New("the ladder has no row but the baseline")
	}
	slices.SortStableFunc(rows, func(a, b line) int {
		switch {
		case a.change > b.change:
			return -1
		case a.change < b.change:
			return 1
		}
		return 0
	})
	p := plot.New()
	p.Title.Text = "Change of the test error, percentage points (left is better)"
	p.X.Label.Text = "points against the baseline of the same seed: mean and standard deviation"
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.name
	}
	zero, err := plotter.NewLine(plotter.XYs{{X: 0, Y: -1}, {X: 0, Y: float64(len(rows))}})
	if err != nil {
		return nil, err
	}
	zero.Color = color.Gray{150}
	bars, err := plotter.NewXErrorBars(rows)
	if err != nil {
		return nil, err
	}
	bars.Color = color.RGBA{120, 150, 190, 255}
	dots, err := plotter.NewScatter(rows)
	if err != nil {
		return nil, err
	}
	dots.Shape, dots.Radius, dots.Color = draw.CircleGlyph{}, vg.Points(2.5), color.RGBA{20, 70, 140, 255}
	p.Add(plotter.NewGrid(), zero, bars, dots)
	p.NominalY(names...)
	p.Y.Tick.Label.Font.Size = vg.Points(8)
	canvas := vgimg.PngCanvas{Canvas: vgimg.NewWith(
		vgimg.UseWH(9*vg.Inch, vg.Length(len(rows))*vg.Points(11)+vg.Inch), vgimg.UseDPI(100), vgimg.UseBackgroundColor(color.White))}
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	_, err = canvas.WriteTo(&b)
	return b.Bytes(), err
}

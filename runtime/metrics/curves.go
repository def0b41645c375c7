package metrics

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"strconv"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/ortrain/ortrain/data/atomicfile"
)

// LRPoint is a value of the learning rate within the run.
type LRPoint struct {
	// Epoch is the position in epochs, from 0 at the start of the run.
	Epoch float64
	LR    float64
}

// Curves describes the picture of a run.
type Curves struct {
	// Title names the run, as in "ResNet-8 on MNIST"; Subtitle, in smaller
	// letters below it, may say more. An empty Subtitle gives the result.
	Title, Subtitle string
	Epochs          []Epoch
	// LearningRate is the course of the learning rate; without it the rate
	// at the end of each epoch is drawn.
	LearningRate []LRPoint
}

// Palette: one colour for each role, told apart also by people who do not see
// red and green, and by their lightness in grey.
var (
	trainColor = color.RGBA{0x1f, 0x6f, 0xb4, 0xff}
	testColor  = color.RGBA{0xe0, 0x7b, 0x1a, 0xff}
	rateColor  = color.RGBA{0x3a, 0x8f, 0x5c, 0xff}
	inkColor   = color.RGBA{0x33, 0x33, 0x33, 0xff}
	faintColor = color.RGBA{0x77, 0x77, 0x77, 0xff}
	gridColor  = color.RGBA{0xdd, 0xdd, 0xdd, 0xff}
)

// Size and resolution of the picture: 1,800 × 600 pixels.
const (
	pictureWidth  = 15 * vg.Inch
	pictureHeight = 5 * vg.Inch
	pictureDPI    = 120
)

// Write draws the picture and stores it as a PNG at path.
func (c Curves) Write(path string) error {
	b, err := c.PNG()
	if err != nil {
		return fmt.Errorf("cannot draw %s: %w", path, err)
	}
	return atomicfile.Write(path, b)
}

// PNG draws loss, accuracy and learning rate over the epochs, side by side.
func (c Curves) PNG() ([]byte, error) {
	if len(c.Epochs) == 0 {
		return nil, errors.New("no epochs to draw")
	}
	titles := []string{"Loss (cross-entropy, nats)", "Accuracy (top-1, %)", "Learning rate"}
	panels := []*plot.Plot{c.loss(), c.accuracy(), c.rate()}
	subtitle := c.Subtitle
	if subtitle == "" {
		subtitle = c.result()
	}
	p := newPicture(pictureHeight, c.Title, subtitle)
	p.panels(titles, panels, 0)
	return p.png()
}

// lettering is the style of text outside the plots.
func lettering(size font.Length, ink color.Color, bold bool, align text.XAlignment) text.Style {
	f := font.From(plot.DefaultFont, size)
	f.Variant = "Sans"
	if bold {
		f.Weight = xfont.WeightBold
	}
	return text.Style{Color: ink, Font: f, XAlign: align, YAlign: draw.YTop, Handler: plot.DefaultTextHandler}
}

// result sums up the last epoch.
func (c Curves) result() string {
	e := c.Epochs[len(c.Epochs)-1]
	epochs := "epochs"
	if e.Epoch == 1 {
		epochs = "epoch"
	}
	s := fmt.Sprintf("%d %s, %d steps", e.Epoch, epochs, e.Step)
	if !math.IsNaN(e.TestAccuracy) {
		s += fmt.Sprintf(", test accuracy %.2f %%", 100*e.TestAccuracy)
	}
	return s
}

// series takes one value of each epoch, leaving out what is not finite.
func (c Curves) series(value func(Epoch) float64) plotter.XYs {
	var xy plotter.XYs
	for _, e := range c.Epochs {
		if v := value(e); !math.IsNaN(v) && !math.IsInf(v, 0) {
			xy = append(xy, plotter.XY{X: float64(e.Epoch), Y: v})
		}
	}
	return xy
}

func (c Curves) loss() *plot.Plot {
	p := c.panel()
	p.Legend.Top, p.Legend.YOffs = true, -2
	addLine(p, "train", trainColor, c.series(func(e Epoch) float64 { return e.TrainLoss }), len(c.Epochs))
	addLine(p, "test", testColor, c.series(func(e Epoch) float64 { return e.TestLoss }), len(c.Epochs))
	p.Y.Min = 0
	headroom(p)
	return p
}

func (c Curves) accuracy() *plot.Plot {
	p := c.panel()
	p.Legend.YOffs = 10
	train := c.series(func(e Epoch) float64 { return 100 * e.TrainAccuracy })
	test := c.series(func(e Epoch) float64 { return 100 * e.TestAccuracy })
	addLine(p, "train", trainColor, train, len(c.Epochs))
	addLine(p, "test", testColor, test, len(c.Epochs))
	// Room below for the legend, and never a scale finer than is honest.
	low := 100.0
	for _, xy := range append(train, test...) {
		low = min(low, xy.Y)
	}
	p.Y.Max = 100
	p.Y.Min = max(0, low-0.25*(100-low)-0.5)
	return p
}

func (c Curves) rate() *plot.Plot {
	p := c.panel()
	points := c.series(func(e Epoch) float64 { return e.LR })
	markers := len(points)
	if len(c.LearningRate) > 0 {
		points = nil
		for _, x := range c.LearningRate {
			points = append(points, plotter.XY{X: x.Epoch, Y: x.LR})
		}
		markers = math.MaxInt
	}
	addLine(p, "", rateColor, points, markers)
	p.Y.Min = 0
	headroom(p)
	return p
}

// headroom leaves a little space above the highest value.
func headroom(p *plot.Plot) {
	if p.Y.Max <= p.Y.Min {
		p.Y.Max = p.Y.Min + 1
	}
	p.Y.Max += 0.05 * (p.Y.Max - p.Y.Min)
}

// panel makes an empty plot over the epochs.
func (c Curves) panel() *plot.Plot {
	p := plot.New()
	p.X.Label.Text = "epoch"
	for _, s := range []*text.Style{&p.X.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		s.Font.Variant = "Sans"
		s.Font.Size = 11
		s.Color = inkColor
	}
	p.X.Label.Padding = 4
	p.Legend.Padding = 3
	p.Legend.XOffs = -8
	if len(c.Epochs) == 1 { // its only point lies at the right edge
		p.Legend.Left, p.Legend.XOffs = true, 8
	}
	p.Legend.ThumbnailWidth = 0.3 * vg.Inch
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color = faintColor
		a.LineStyle.Width = 0.8
		a.Tick.LineStyle.Color = faintColor
		a.Tick.Length = 4
		a.Padding = 0
	}
	p.X.Tick.Marker = epochTicks{}
	p.Y.Tick.Marker = valueTicks{}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = gridColor, gridColor
	grid.Vertical.Width = 0
	p.Add(grid)
	p.X.Min, p.X.Max = 0, float64(c.Epochs[len(c.Epochs)-1].Epoch)
	return p
}

// addLine draws a series, with a mark on each point while there are few.
func addLine(p *plot.Plot, name string, ink color.Color, xy plotter.XYs, points int) {
	if len(xy) == 0 {
		return
	}
	style := draw.LineStyle{Color: ink, Width: 1.8}
	thumbs := []plot.Thumbnailer{}
	line := &plotter.Line{XYs: xy, LineStyle: style}
	p.Add(line)
	thumbs = append(thumbs, line)
	if points <= 40 || len(xy) == 1 {
		marks := &plotter.Scatter{XYs: xy, GlyphStyle: draw.GlyphStyle{Color: ink, Radius: 2.6, Shape: draw.CircleGlyph{}}}
		p.Add(marks)
		thumbs = append(thumbs, marks)
	}
	if name != "" {
		p.Legend.Add(name, thumbs...)
	}
}

// epochTicks marks whole epochs, at most about eight of them.
type epochTicks struct{}

func (epochTicks) Ticks(low, high float64) []plot.Tick {
	step := niceStep(max(1, (high-low)/8))
	step = max(1, math.Round(step))
	var ticks []plot.Tick
	for v := math.Ceil(low/step) * step; v <= high+1e-9; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', 0, 64)})
	}
	return ticks
}

// valueTicks marks round values, about six of them, with as many decimals as
// tell them apart.
type valueTicks struct{}

func (valueTicks) Ticks(low, high float64) []plot.Tick {
	step := niceStep((high - low) / 6)
	decimals := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	if math.Abs(step/math.Pow(10, -float64(decimals))-2.5) < 1e-6 {
		decimals++
	}
	var ticks []plot.Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high+1e-9*step; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: strconv.FormatFloat(i*step+0, 'f', decimals, 64)})
	}
	return ticks
}

// niceStep rounds a step up to 1, 2, 2.5 or 5 times a power of ten.
func niceStep(raw float64) float64 {
	if !(raw > 0) || math.IsInf(raw, 0) {
		return 1
	}
	base := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*base >= raw*(1-1e-9) {
			return m * base
		}
	}
	return 10 * base
}

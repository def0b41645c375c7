package metrics

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"testing"
)

// Every run leaves its colour on the picture, and those without an epoch none.
func TestOverlay(t *testing.T) {
	o := Overlay{Title: "Runs", Subtitle: "some"}
	for i := range 6 {
		r := Course{Name: fmt.Sprintf("run %d with a name that is much too long for its column, so that it is cut", i)}
		for e := range 1 + i*i {
			v := float64(i+1) / float64(e+2)
			r.Epochs = append(r.Epochs, Epoch{Epoch: e + 1, TrainLoss: v, TestLoss: math.NaN(), TestAccuracy: 1 - v/8})
		}
		o.Runs = append(o.Runs, r)
	}
	o.Runs = append(o.Runs, Course{Name: "empty"})
	b, err := o.PNG()
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range overlayColors {
		if n := pixels(img, want); (n > 50) != (i < 6) && want != inkColor {
			t.Errorf("%d pixels of the colour of run %d", n, i)
		}
	}
	if _, err := (Overlay{Runs: []Course{{Name: "empty"}}}).PNG(); err == nil {
		t.Error("a picture of nothing")
	}
	o.Runs = make([]Course, MostOverlaid+1)
	for i := range o.Runs {
		o.Runs[i].Epochs = []Epoch{{Epoch: 1, TrainLoss: float64(i)}}
	}
	if _, err := o.PNG(); err == nil {
		t.Error("too many runs")
	}
	o.Runs = o.Runs[1:]
	if _, err := o.PNG(); err != nil {
		t.Error(err)
	}
}

func pixels(img image.Image, c color.RGBA) (n int) {
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			if color.RGBAModel.Convert(img.At(x, y)) == c {
				n++
			}
		}
	}
	return n
}

func TestFitted(t *testing.T) {
	for name, want := range map[string]string{"short": "short", "abcdefghijkl": "abcd…hijkl"} {
		if got := fitted(name, 10); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

// TestOverlayOfADivergedRun: its loss does not flatten those of the others.
func TestOverlayOfADivergedRun(t *testing.T) {
	course := func(losses ...float64) Course {
		c := Course{Name: "run"}
		for i, l := range losses {
			c.Epochs = append(c.Epochs, Epoch{Epoch: i + 1, TrainLoss: l})
		}
		return c
	}
	loss := func(e Epoch) float64 { return e.TrainLoss }
	runs := []Course{course(2, 1.5, 1), course(2.1, 1.4, 0.9)}
	if p, cut := overlayPanel(runs, loss); cut || p.Y.Max < 2.1 || p.Y.Max > 3 {
		t.Errorf("cut %v at %v", cut, p.Y.Max)
	}
	if p, cut := overlayPanel(append(runs, course(1e30)), loss); !cut || p.Y.Max < 2.1 || p.Y.Max > 3 {
		t.Errorf("with a diverged run: cut %v at %v", cut, p.Y.Max)
	}
}

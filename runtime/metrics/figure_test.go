package metrics

import (
	"bytes"
	"image/png"
	"math"
	"testing"
)

func TestFigure(t *testing.T) {
	line := Series{X: []float64{1e-4, 1e-2, 1, 10}, Y: []float64{2.3, 2, math.NaN(), math.Inf(1)}}
	for name, f := range map[string]Figure{
		"plain":     {Title: "t", XLabel: "x", YLabel: "y", Series: []Series{line}},
		"log":       {LogX: true, Series: []Series{line, {Name: "raw", X: []float64{0, 1e-3}, Y: []float64{1, 9}, Accent: Faint}}, Marks: []Mark{{1e-3, "a"}, {2e-3, "b"}, {9, "outside"}}},
		"one point": {ZeroBased: true, Series: []Series{{X: []float64{3}, Y: []float64{0.1}}}},
		"constant":  {ZeroBased: true, Series: []Series{{X: []float64{0, 1}, Y: []float64{0, 0}}}},
	} {
		b, err := f.PNG()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if img, err := png.Decode(bytes.NewReader(b)); err != nil || img.Bounds().Dx() != 960 || img.Bounds().Dy() != 600 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (Figure{Series: []Series{{X: []float64{1}, Y: []float64{math.NaN()}}}}).PNG(); err == nil {
		t.Error("drew nothing")
	}
}

func TestPowerTicks(t *testing.T) {
	labels := func(low, high float64) (out []string) {
		for _, tick := range (powerTicks{}).Ticks(low, high) {
			if tick.Label != "" {
				out = append(out, tick.Label)
			}
		}
		return out
	}
	for _, tt := range []struct {
		low, high float64
		want      int
	}{{1e-7, 10, 9}, {1e-3, 1, 10}, {0.3, 0.8, 1}, {1e-30, 1, 11}} {
		if got := labels(tt.low, tt.high); len(got) != tt.want {
			t.Errorf("%v to %v: %v", tt.low, tt.high, got)
		}
	}
}

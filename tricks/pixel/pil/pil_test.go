package pil

import (
	"slices"
	"testing"
)

func row(v ...uint8) Image { return Image{W: len(v), H: 1, C: 1, Pix: v} }

func TestKnownAnswers(t *testing.T) {
	src := row(0, 1, 100, 254, 255)
	dst := row(9, 9, 9, 9, 9)
	for _, tt := range []struct {
		name string
		do   func()
		want []uint8
	}{
		{"offset", func() { Offset(dst, src, [3]float64{-1.4, 50, 50}) }, []uint8{0, 0, 99, 253, 254}},
		{"offset up", func() { Offset(dst, src, [3]float64{1.5, 0, 0}) }, []uint8{2, 3, 102, 255, 255}},
		{"blend", func() { Blend(dst, src, row(255, 255, 0, 0, 255), 0.4) }, []uint8{102, 102, 60, 152, 255}},
		{"cutout", func() { Cutout(dst, src, 4, 0, 4, Colour{7}) }, []uint8{0, 1, 7, 7, 7}},
		{"cutout of nothing", func() { Cutout(dst, src, 4, 0, 0, Colour{7}) }, src.Pix},
		{"posterize to nothing", func() { Posterize(dst, src, 0) }, []uint8{0, 0, 0, 0, 0}},
		{"far away", func() { TranslateX(dst, src, 1e12, Nearest, Colour{3}) }, []uint8{3, 3, 3, 3, 3}},
	} {
		if tt.do(); !slices.Equal(dst.Pix, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, dst.Pix, tt.want)
		}
	}
}

// Images beyond the reach of fixed point are read in floating point, to the
// same pixels where nothing lies on an edge.
func TestFloatingEqualsFixed(t *testing.T) {
	src := Image{W: 13, H: 9, C: 3, Pix: make([]uint8, 13*9*3)}
	for i := range src.Pix {
		src.Pix[i] = uint8(i * 7)
	}
	a, b := src, src
	for _, m := range [][6]float64{{1, 0.237, 0, 0, 1, 0}, {0.81, -0.59, 3.3171, 0.59, 0.81, -2.7137}, {0.4, 0.1, -30, 0.1, 0.4, 1}} {
		a.Pix, b.Pix = make([]uint8, len(src.Pix)), make([]uint8, len(src.Pix))
		fixed(a, src, m)
		floating(b, src, m)
		if !slices.Equal(a.Pix, b.Pix) {
			t.Errorf("%v: fixed and floating differ", m)
		}
	}
}

// Operations on single pixels may work in place.
func TestInPlace(t *testing.T) {
	src := Image{W: 5, H: 4, C: 3, Pix: make([]uint8, 60)}
	for i := range src.Pix {
		src.Pix[i] = uint8(i * 37)
	}
	for name, f := range map[string]func(dst, src Image){
		"invert": Invert, "autocontrast": AutoContrast, "equalize": Equalize, "grayscale": Grayscale,
		"solarize":   func(d, s Image) { Solarize(d, s, 90) },
		"posterize":  func(d, s Image) { Posterize(d, s, 3) },
		"brightness": func(d, s Image) { Brightness(d, s, 1.3) },
		"contrast":   func(d, s Image) { Contrast(d, s, 0.3) },
		"color":      func(d, s Image) { Color(d, s, 1.7) },
		"hue":        func(d, s Image) { Hue(d, s, 0.2) },
		"offset":     func(d, s Image) { Offset(d, s, [3]float64{1, -2, 3}) },
	} {
		want, got := src, src
		want.Pix, got.Pix = make([]uint8, 60), slices.Clone(src.Pix)
		f(want, src)
		f(got, got)
		if !slices.Equal(want.Pix, got.Pix) {
			t.Errorf("%s in place differs", name)
		}
	}
}

func TestMisusePanics(t *testing.T) {
	src, dst := row(1, 2, 3), row(1, 2)
	for name, f := range map[string]func(){
		"other size":     func() { Invert(dst, src) },
		"nearest":        func() { new(Resizer).Resize(dst, src, Crop{W: 3, H: 1}, Nearest) },
		"outside window": func() { new(Resizer).Resize(dst, src, Crop{X: 1, W: 3, H: 1}, Bilinear) },
		"empty window":   func() { new(Resizer).Resize(dst, src, Crop{H: 1}, Bilinear) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			f()
		}()
	}
}

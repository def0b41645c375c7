package job

import (
	"image/color"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
)

func TestTargetLines(t *testing.T) {
	classes := []string{"cat", "dog", "frog", "ship", "deer", "bird"}
	for _, tt := range []struct {
		row  []float32
		want []string
	}{
		{[]float32{1, 0, 0, 0, 0, 0}, []string{"cat 1"}},
		{[]float32{0.3, 0.7, 0, 0, 0, 0}, []string{"dog .7", "cat .3"}},
		{[]float32{0.9, 0.02, 0.02, 0.02, 0.02, 0.02}, []string{"cat .9", "others .1"}},
		{[]float32{0.25, 0.25, 0.25, 0.25, 0, 0}, []string{"cat .25", "dog .25", "frog .25", "ship .25"}},
		{[]float32{0, 0, 3.5, 0, 0, 0.5}, []string{"frog 3.5", "bird .5"}}, // weighted
		{[]float32{0, 0, 0, 0, 0, 0}, nil},
	} {
		if got := targetLines(tt.row, classes); !slices.Equal(got, tt.want) {
			t.Errorf("%v: %q, want %q", tt.row, got, tt.want)
		}
	}
}

// Undoing the normalisation gives the pixels back, each enlarged to a square.
func TestDenormalise(t *testing.T) {
	size := pixel.Size{W: 2, H: 1, C: 3}
	mean, std := []float64{0.5, 0.4, 0.3}, []float64{0.2, 0.25, 0.3}
	norm, err := pixel.NewNormaliser(mean, std)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 6)
	norm.Apply(x, &pixel.Image{Size: size, Pix: []uint8{0, 128, 255, 7, 99, 201}})
	img := denormalise(x, size, mean, std, 3)
	if img.Bounds().Dx() != 6 || img.Bounds().Dy() != 3 {
		t.Fatalf("size %v", img.Bounds())
	}
	for px := range 6 {
		want := color.RGBA{0, 128, 255, 255}
		if px >= 3 {
			want = color.RGBA{7, 99, 201, 255}
		}
		if got := img.RGBAAt(px, 2); got != want {
			t.Errorf("pixel %d: %v, want %v", px, got, want)
		}
	}
	grey := denormalise([]float32{-10, 10}, pixel.Size{W: 2, H: 1, C: 1}, []float64{0.5}, []float64{0.5}, 1)
	if grey.RGBAAt(0, 0) != (color.RGBA{0, 0, 0, 255}) || grey.RGBAAt(1, 0) != (color.RGBA{255, 255, 255, 255}) {
		t.Error("values beyond the range are not clamped")
	}
}

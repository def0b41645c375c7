package pil

import "testing"

// The crop of an ordinary photograph and that of a small one, to 224 pixels.
func BenchmarkResize(b *testing.B) {
	for _, c := range []struct {
		name string
		w    Crop
	}{{"shrink", Crop{20, 10, 360, 270}}, {"enlarge", Crop{3, 4, 188, 180}}} {
		b.Run(c.name, func(b *testing.B) {
			src := Image{500, 375, 3, make([]uint8, 500*375*3)}
			for i := range src.Pix {
				src.Pix[i] = uint8(i * 7)
			}
			dst := Image{224, 224, 3, make([]uint8, 224*224*3)}
			var r Resizer
			b.ReportAllocs()
			for b.Loop() {
				r.Resize(dst, src, c.w, Bilinear)
			}
		})
	}
}

package decode

import (
	"image"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// A lossy WebP holds VP8 samples, whose luma goes from 16 to 235; the standard
// conversion of an image.YCbCr takes it for 0 to 255. So the samples are
// converted here, as libwebp does (src/dsp/yuv.h and upsampling.c).
func fromWebP(dst *pixel.Image, img *image.YCbCr) {
	cw, ch := (dst.W+1)/2, (dst.H+1)/2
	u := make([]int32, dst.W)
	v := make([]int32, dst.W)
	for y := range dst.H {
		webpRow(u, img.Cb, img.CStride, cw, ch, y)
		webpRow(v, img.Cr, img.CStride, cw, ch, y)
		luma := img.Y[y*img.YStride:][:dst.W]
		for x, l := range luma {
			l := int32(l) * 19077 >> 8
			r := vp8(l + u16(v[x], 26149) - 14234)
			g := vp8(l - u16(u[x], 6419) - u16(v[x], 13320) + 8708)
			b := vp8(l + u16(u[x], 33050) - 17685)
			put(dst, y*dst.W+x, r, g, b)
		}
	}
}

func u16(v, factor int32) int32 { return v * factor >> 8 }

func vp8(v int32) uint8 { return clamp(v >> 6) }

// webpRow enlarges a row of colours twofold: each is a mean of the four samples
// around it, the nearest counting nine, the farthest one sixteenth.
func webpRow(out []int32, plane []uint8, stride, w, h, y int) {
	near := y / 2
	far := min(max(near-1+2*(y%2), 0), h-1)
	a, b := plane[near*stride:][:w], plane[far*stride:][:w]
	for x := range out {
		i := x / 2
		j := min(max(i-1+2*(x%2), 0), w-1)
		// libwebp's order of roundings: first the diagonals, then the mean
		// with the nearest.
		p, q, r, s := int32(a[i]), int32(a[j]), int32(b[i]), int32(b[j])
		if i == j {
			out[x] = (3*p + r + 2) >> 2
			continue
		}
		d := (p + q + r + s + 8 + 2*(q+r)) >> 3
		out[x] = (d + p) >> 1
	}
}

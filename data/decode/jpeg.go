package decode

import (
	"errors"
	"strings"

	"github.com/ortrain/ortrain/data/decode/internal/gojpeg"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// Decoding JPEG without libjpeg-turbo: gojpeg, the standard library's decoder
// with libjpeg's inverse DCTs, gives the samples of each component, exactly
// those of libjpeg at each of its sizes; what libjpeg does with them (the
// triangle filter that enlarges the colours, its fixed-point conversion to RGB
// and to inks) is repeated here step by step, so that the two give the same
// pixels.

// decodeGo writes a window of the stored image, shrunk, to dst, which has the
// window's size.
func decodeGo(dst *pixel.Image, file []byte, h *header, shrink int, v Window) error {
	img, err := gojpeg.Decode(file, h.w, h.h, shrink)
	if err != nil {
		return errors.New(reason(err))
	}
	planes := img.Planes
	if img.Kind == gojpeg.YCbCr && dst.C == 1 {
		planes = planes[:1] // luma is all it takes
	}
	// Lines of the components at the image's size, from v.X on.
	var lines, rows [4][]uint8
	for y := range v.H {
		for c := range planes {
			p := &planes[c]
			if p.HX == 1 && p.VY == 1 {
				rows[c] = plane(p, v.Y+y)[v.X : v.X+v.W]
				continue
			}
			if lines[c] == nil {
				lines[c] = make([]uint8, p.W*p.HX)
			}
			enlarge(lines[c], p, v.Y+y, shrink < 8)
			rows[c] = lines[c][v.X : v.X+v.W]
		}
		out := dst.Pix[y*v.W*dst.C : (y+1)*v.W*dst.C]
		switch {
		case len(planes) == 1:
			for x, g := range rows[0] {
				for c := range dst.C {
					out[x*dst.C+c] = g
				}
			}
		case img.Kind == gojpeg.YCbCr:
			cb, cr := rows[1][:len(rows[0])], rows[2][:len(rows[0])]
			for x, l := range rows[0] {
				toRGB(out[3*x:3*x+3:3*x+3], int32(l), int32(cb[x])-128, int32(cr[x])-128)
			}
		case img.Kind == gojpeg.RGB:
			for x := range v.W {
				put(dst, y*v.W+x, rows[0][x], rows[1][x], rows[2][x])
			}
		default:
			var ink [4]uint8
			for x := range v.W {
				if img.Kind == gojpeg.YCCK {
					toRGB(ink[:3], int32(rows[0][x]), int32(rows[1][x])-128, int32(rows[2][x])-128)
				} else {
					ink[0], ink[1], ink[2] = 255-rows[0][x], 255-rows[1][x], 255-rows[2][x]
				}
				ink[3] = 255 - rows[3][x]
				r, g, b := fromInk(ink[:])
				put(dst, y*v.W+x, r, g, b)
			}
		}
	}
	return nil
}

// reason says what a decoder of the standard library objects to.
func reason(err error) string {
	s := err.Error()
	if strings.HasSuffix(s, "unexpected EOF") || strings.HasSuffix(s, "short Huffman data") {
		return "the file ends in the middle of the image"
	}
	for _, prefix := range []string{"invalid JPEG format: ", "unsupported JPEG feature: "} {
		s = strings.TrimPrefix(s, prefix)
	}
	return s
}

// put stores pixel i, as luma if the image is grey.
func put(dst *pixel.Image, i int, r, g, b uint8) {
	if dst.C == 1 {
		dst.Pix[i] = luma(r, g, b)
		return
	}
	dst.Pix[3*i], dst.Pix[3*i+1], dst.Pix[3*i+2] = r, g, b
}

// luma is ITU-R 601 in 16-bit fixed point, as Pillow's mode L.
func luma(r, g, b uint8) uint8 {
	return uint8((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

// toRGB is libjpeg's conversion of a pixel (jdcolor.c).
func toRGB(out []uint8, y, cb, cr int32) {
	const half = 1 << 15
	out[0] = clamp(y + (91881*cr+half)>>16)
	out[1] = clamp(y + (-22554*cb-46802*cr+half)>>16)
	out[2] = clamp(y + (116130*cb+half)>>16)
}

func clamp(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^(v >> 31)) // 0 below, 255 above
	}
	return uint8(v)
}

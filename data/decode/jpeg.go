package decode

import (
	"errors"
	"fmt"
	"image"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/data/decode/internal/gojpeg"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// Decoding JPEG without libjpeg-turbo: gojpeg, the standard library's decoder
// with libjpeg's inverse DCT, gives the samples of each component, exactly
// those of libjpeg; what libjpeg does with them (the triangle
// filter that enlarges the colours, its fixed-point conversion to RGB, the
// means of 2×2, 4×4 or 8×8 samples when an image is shrunk) is repeated here
// step by step, so that the two give the same pixels; shrunk ones differ by
// the rounding of libjpeg's smaller inverse DCTs.

// decodeGo writes a window of the stored image, shrunk, to dst, which has the
// window's size.
func decodeGo(dst *pixel.Image, file []byte, h *header, shrink int, v Window) error {
	if h.components == 4 && h.adobe < 0 {
		// What inks without an Adobe segment mean is a convention (libjpeg's:
		// plain CMYK), which the standard library does not presume.
		const adobe = "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
		file = slices.Concat(file[:2], []byte(adobe), file[2:])
	}
	img, err := gojpeg.Decode(file, h.w, h.h)
	if err != nil {
		return errors.New(reason(err))
	}
	switch img := img.(type) {
	case *image.Gray:
		p := component{pix: img.Pix, stride: img.Stride, w: h.w, h: h.h}.shrink(shrink, shrink)
		for y := range v.H {
			row := p.row(v.Y + y)[v.X : v.X+v.W]
			out := dst.Pix[y*v.W*dst.C:]
			for x, g := range row {
				for c := range dst.C {
					out[x*dst.C+c] = g
				}
			}
		}
	case *image.YCbCr:
		fromYCbCr(dst, img, h, shrink, v)
	case *image.CMYK:
		fromInks(dst, img.Pix, img.Stride, h, shrink, v)
	case *image.RGBA:
		planes := [3]component{}
		for c := range planes {
			planes[c] = component{pix: every(img.Pix[c:], 4), stride: img.Stride / 4, w: h.w, h: h.h}.shrink(shrink, shrink)
		}
		for y := range v.H {
			r, g, b := planes[0].row(v.Y + y)[v.X:], planes[1].row(v.Y + y)[v.X:], planes[2].row(v.Y + y)[v.X:]
			for x := range v.W {
				put(dst, y*v.W+x, r[x], g[x], b[x])
			}
		}
	default:
		return fmt.Errorf("colours of type %T", img)
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

// every returns each n-th byte.
func every(p []byte, n int) []byte {
	out := make([]byte, (len(p)+n-1)/n)
	for i := range out {
		out[i] = p[i*n]
	}
	return out
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

// component is a plane of samples: w×h of them count, but the memory may hold
// more to the right and below, which the encoder made up.
type component struct {
	pix    []uint8
	stride int
	w, h   int
}

func (p component) row(y int) []uint8 { return p.pix[y*p.stride:] }

// shrink returns the plane with every rectangle of nx×ny samples made one,
// their mean.
func (p component) shrink(nx, ny int) component {
	if nx == 1 && ny == 1 {
		return p
	}
	out := component{w: (p.w + nx - 1) / nx, h: (p.h + ny - 1) / ny}
	out.stride = out.w
	out.pix = make([]uint8, out.w*out.h)
	rows := len(p.pix) / p.stride
	for y := range out.h {
		for x := range out.w {
			sum, n := 0, 0
			for j := y * ny; j < (y+1)*ny && j < rows; j++ {
				for _, v := range p.pix[j*p.stride+x*nx : j*p.stride+min((x+1)*nx, p.stride)] {
					sum += int(v)
					n++
				}
			}
			out.pix[y*out.stride+x] = uint8((sum + n/2) / n)
		}
	}
	return out
}

// fromYCbCr converts a window of the shrunk image.
func fromYCbCr(dst *pixel.Image, img *image.YCbCr, h *header, shrink int, v Window) {
	maxH, maxV := ratio(img.SubsampleRatio)
	block := 8 / shrink
	// Colours that are stored at fewer samples are shrunk less.
	size := block
	for size < 8 && maxH*block%(2*size) == 0 && maxV*block%(2*size) == 0 {
		size *= 2
	}
	u := upsampler{hx: maxH * block / size, vy: maxV * block / size, fancy: block > 1}
	y := component{img.Y, img.YStride, h.w, h.h}.shrink(shrink, shrink)
	cw, ch := (h.w+maxH-1)/maxH, (h.h+maxV-1)/maxV
	cb := component{img.Cb, img.CStride, cw, ch}.shrink(8/size, 8/size)
	cr := component{img.Cr, img.CStride, cw, ch}.shrink(8/size, 8/size)
	lines := make([]uint8, 2*(y.w+u.hx))
	lb, lr := lines[:y.w+u.hx], lines[y.w+u.hx:]
	for j := range v.H {
		luma := y.row(v.Y + j)[v.X : v.X+v.W]
		if dst.C == 1 {
			copy(dst.Pix[j*v.W:], luma)
			continue
		}
		u.row(lb, cb, v.Y+j)
		u.row(lr, cr, v.Y+j)
		out := dst.Pix[j*v.W*3 : (j+1)*v.W*3]
		b, r := lb[v.X:][:len(luma)], lr[v.X:][:len(luma)]
		for i, l := range luma {
			toRGB(out[3*i:3*i+3], int32(l), int32(b[i])-128, int32(r[i])-128)
		}
	}
}

// toRGB is libjpeg's conversion of a pixel (jdcolor.c).
func toRGB(out []uint8, y, cb, cr int32) {
	const half = 1 << 15
	out[0] = clamp(y + (91881*cr+half)>>16)
	out[1] = clamp(y + (-22554*cb-46802*cr+half)>>16)
	out[2] = clamp(y + (116130*cb+half)>>16)
}

func clamp(v int32) uint8 { return uint8(min(max(v, 0), 255)) }

// ratio returns how many luma samples there are to a colour sample, across and
// down.
func ratio(r image.YCbCrSubsampleRatio) (h, v int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

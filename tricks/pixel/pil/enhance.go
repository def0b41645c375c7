package pil

// blend is Image.blend of two values: from + alpha·(to − from) in single
// precision, cut off to an integer and clipped. The conversion keeps the
// compiler from fusing the two operations, which would round once less.
func blend(from, to uint8, alpha float32) uint8 {
	v := float32(from) + float32(alpha*float32(int32(to)-int32(from)))
	return uint8(int32(min(max(v, 0), 255)))
}

// Brightness is ImageEnhance.Brightness: factor 0 is black, 1 the image.
func Brightness(dst, src Image, factor float64) {
	towards(dst, src, 0, float32(factor))
}

// towards blends the image with one grey level.
func towards(dst, src Image, level uint8, alpha float32) {
	var t table
	for v := range t {
		t[v] = blend(level, uint8(v), alpha)
	}
	t.apply(dst, src)
}

// luma is Pillow's conversion from RGB to L (ITU-R 601-2) in 16-bit fixed
// point.
func luma(r, g, b uint8) uint8 {
	return uint8((uint32(r)*19595 + uint32(g)*38470 + uint32(b)*7471 + 1<<15) >> 16)
}

// Contrast is ImageEnhance.Contrast: factor 0 is the image's mean grey, 1 the
// image.
func Contrast(dst, src Image, factor float64) {
	sum, n := 0, src.W*src.H
	if src.C == 1 {
		for _, v := range src.Pix {
			sum += int(v)
		}
	} else {
		for s := src.Pix; len(s) >= 3; s = s[3:] {
			sum += int(luma(s[0], s[1], s[2]))
		}
	}
	mean := uint8(0)
	if n > 0 {
		mean = uint8(float64(sum)/float64(n) + 0.5)
	}
	towards(dst, src, mean, float32(factor))
}

// Color is ImageEnhance.Color (torchvision's saturation): factor 0 is grey, 1
// the image. One-channel images stay.
func Color(dst, src Image, factor float64) {
	check(dst, src)
	alpha := float32(factor)
	if src.C == 1 || alpha == 1 {
		copy(dst.Pix, src.Pix)
		return
	}
	d := dst.Pix
	for s := src.Pix; len(s) >= 3 && len(d) >= 3; s, d = s[3:], d[3:] {
		grey := luma(s[0], s[1], s[2])
		d[0], d[1], d[2] = blend(grey, s[0], alpha), blend(grey, s[1], alpha), blend(grey, s[2], alpha)
	}
}

// Grayscale replaces every channel by Pillow's conversion to mode L.
// One-channel images stay.
func Grayscale(dst, src Image) {
	Color(dst, src, 0)
}

// Blend is Image.blend: weight 0 gives a, 1 gives b. AutoAugment's
// SamplePairing is the blend with another training image.
func Blend(dst, a, b Image, weight float64) {
	check(dst, a)
	check(dst, b)
	for i := range dst.Pix {
		dst.Pix[i] = blend(a.Pix[i], b.Pix[i], float32(weight))
	}
}

// Sharpness is ImageEnhance.Sharpness: factor 0 is the image smoothed with
// the 3×3 kernel of ImageFilter.SMOOTH (ones around a 5, divided by 13), 1
// the image, 2 sharpened. The outermost pixels stay. dst and src must not
// overlap.
func Sharpness(dst, src Image, factor float64) {
	check(dst, src)
	alpha := float32(factor)
	copy(dst.Pix, src.Pix)
	if alpha == 1 || src.W < 3 || src.H < 3 {
		return
	}
	stride := src.W * src.C
	for y := 1; y < src.H-1; y++ {
		up := src.Pix[(y-1)*stride : y*stride]
		mid := src.Pix[y*stride : (y+1)*stride]
		down := src.Pix[(y+1)*stride : (y+2)*stride]
		for c := range src.C {
			sharpen(dst.Pix[y*stride:(y+1)*stride], up, mid, down, c, src.C, alpha)
		}
	}
}

// sharpen does one channel of one row, all but its ends.
func sharpen(out, up, mid, down []uint8, c, step int, alpha float32) {
	up, down, out = up[:len(mid)], down[:len(mid)], out[:len(mid)]
	column := func(i int) uint32 { return uint32(up[i]) + uint32(mid[i]) + uint32(down[i]) }
	left, here := column(c), column(c+step)
	for i := c + step; i+step < len(mid); i += step {
		right := column(i + step)
		v := mid[i]
		// Pillow adds 0.5 to the mean and cuts off. 26 never divides an odd
		// number, so its rounding errors cannot matter.
		smooth := uint8((2*(left+here+right+4*uint32(v)) + 13) / 26)
		out[i] = blend(smooth, v, alpha)
		left, here = here, right
	}
}

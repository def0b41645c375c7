package gojpeg

// Inverse DCTs that make fewer samples of a block than it has coefficients, for
// images that are decoded at a half, a quarter or an eighth of their size. They
// are those of libjpeg's jidctred.c, rounding for rounding: the transform of
// Loeffler, Ligtenberg and Moschytz as in idct.go, from which the coefficients
// that do not show at the smaller size have been pruned. They are based on the
// work of the Independent JPEG Group.
//
// Terms of the odd coefficients, 2^13 times sums of cosines:
const (
	fix0_211164243 = 1730
	fix0_509795579 = 4176
	fix0_601344887 = 4926
	fix0_720959822 = 5906
	fix0_850430095 = 6967
	fix1_061594337 = 8697
	fix1_272758580 = 10426
	fix1_451774981 = 11893
	fix2_172734803 = 17799
	fix3_624509785 = 29692
)

// transform writes the samples of a block at the given size: 8, 4, 2 or 1 a
// side. It uses b as its workspace.
func transform(b, q *block, dst []byte, stride, size int) {
	switch size {
	case 8:
		idct(b, q, dst, stride)
	case 4:
		idct4(b, q, dst, stride)
	case 2:
		idct2(b, q, dst, stride)
	default:
		dst[0] = sample((b[0]*q[0]+4)>>3 + 128)
	}
}

// idct4 makes 4×4 samples, of all coefficients but those of row and column 4.
func idct4(b, q *block, dst []byte, stride int) {
	const shift = constBits - passBits + 1
	const half = 1 << (shift - 1)
	for i := range 8 {
		if i == 4 {
			continue // the rows do without
		}
		if b[8+i]|b[16+i]|b[24+i]|b[40+i]|b[48+i]|b[56+i] == 0 {
			dc := b[i] * q[i] << passBits
			b[i], b[8+i], b[16+i], b[24+i] = dc, dc, dc, dc
			continue
		}
		e0, e1, o0, o1 := four(b[i]*q[i], b[8+i]*q[8+i], b[16+i]*q[16+i], b[24+i]*q[24+i],
			b[40+i]*q[40+i], b[48+i]*q[48+i], b[56+i]*q[56+i])
		b[i], b[24+i] = (e0+o0+half)>>shift, (e0-o0+half)>>shift
		b[8+i], b[16+i] = (e1+o1+half)>>shift, (e1-o1+half)>>shift
	}
	for y := range 4 {
		x := b[8*y : 8*y+8 : 8*y+8]
		out := dst[y*stride:][:4:4]
		e0, e1, o0, o1 := four(x[0], x[1], x[2], x[3], x[5], x[6], x[7])
		const shift = constBits + passBits + 3 + 1
		const half = 1<<(shift-1) + 128<<shift // and samples are stored from 0 on
		e0, e1 = e0+half, e1+half
		out[0], out[3] = sample((e0+o0)>>shift), sample((e0-o0)>>shift)
		out[1], out[2] = sample((e1+o1)>>shift), sample((e1-o1)>>shift)
	}
}

// four returns the even and odd terms of a transform to four numbers, twice
// what they are: samples 0 and 3 are e0 ± o0, samples 1 and 2 e1 ± o1.
func four(x0, x1, x2, x3, x5, x6, x7 int32) (e0, e1, o0, o1 int32) {
	z := x2*fix1_847759065 - x6*fix0_765366865
	x0 <<= constBits + 1
	return x0 + z, x0 - z,
		x1*fix2_562915447 + x3*fix0_899976223 - x5*fix0_601344887 - x7*fix0_509795579,
		x1*fix1_061594337 - x3*fix2_172734803 + x5*fix1_451774981 - x7*fix0_211164243
}

// idct2 makes 2×2 samples, of the first and the odd rows and columns.
func idct2(b, q *block, dst []byte, stride int) {
	const shift = constBits - passBits + 2
	const half = 1 << (shift - 1)
	for _, i := range [...]int{0, 1, 3, 5, 7} {
		if b[8+i]|b[24+i]|b[40+i]|b[56+i] == 0 {
			dc := b[i] * q[i] << passBits
			b[i], b[8+i] = dc, dc
			continue
		}
		e, o := two(b[i]*q[i], b[8+i]*q[8+i], b[24+i]*q[24+i], b[40+i]*q[40+i], b[56+i]*q[56+i])
		b[i], b[8+i] = (e+o+half)>>shift, (e-o+half)>>shift
	}
	for y := range 2 {
		x := b[8*y : 8*y+8 : 8*y+8]
		e, o := two(x[0], x[1], x[3], x[5], x[7])
		const shift = constBits + passBits + 3 + 2
		const half = 1<<(shift-1) + 128<<shift
		dst[y*stride], dst[y*stride+1] = sample((e+o+half)>>shift), sample((e-o+half)>>shift)
	}
}

// two returns the even and odd term of a transform to two numbers, four times
// what they are.
func two(x0, x1, x3, x5, x7 int32) (e, o int32) {
	return x0 << (constBits + 2),
		x1*fix3_624509785 - x3*fix1_272758580 + x5*fix0_850430095 - x7*fix0_720959822
}

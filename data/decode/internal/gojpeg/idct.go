package gojpeg

// The constants of the inverse DCT: 2^13 times cosines and their sums, and two
// more bits kept between its passes.
const (
	constBits = 13
	passBits  = 2

	fix0_298631336 = 2446
	fix0_390180644 = 3196
	fix0_541196100 = 4433
	fix0_765366865 = 6270
	fix0_899976223 = 7373
	fix1_175875602 = 9633
	fix1_501321110 = 12299
	fix1_847759065 = 15137
	fix1_961570560 = 16069
	fix2_053119869 = 16819
	fix2_562915447 = 20995
	fix3_072711026 = 25172
)

// idct multiplies the coefficients by the factors q, transforms them back and
// writes the 8×8 samples to dst. It uses b as its workspace.
//
// This is the algorithm of libjpeg's jidctint.c ("islow"), the one that
// libjpeg-turbo uses unless told otherwise, rounding for rounding: that of
// Loeffler, Ligtenberg and Moschytz (ICASSP 1989) in the form with twelve
// multiplications and no more than one on any path. It is based on the work of
// the Independent JPEG Group.
func idct(b, q *block, dst []byte, stride int) {
	for i := range 8 {
		// Most columns of high frequency hold nothing but zeros.
		if b[8+i]|b[16+i]|b[24+i]|b[32+i]|b[40+i]|b[48+i]|b[56+i] == 0 {
			dc := b[i] * q[i] << passBits
			b[i], b[8+i], b[16+i], b[24+i] = dc, dc, dc, dc
			b[32+i], b[40+i], b[48+i], b[56+i] = dc, dc, dc, dc
			continue
		}
		t10, t11, t12, t13 := even(b[i]*q[i], b[16+i]*q[16+i], b[32+i]*q[32+i], b[48+i]*q[48+i])
		t0, t1, t2, t3 := odd(b[8+i]*q[8+i], b[24+i]*q[24+i], b[40+i]*q[40+i], b[56+i]*q[56+i])
		const shift = constBits - passBits
		const half = 1 << (shift - 1)
		b[i], b[56+i] = (t10+t3+half)>>shift, (t10-t3+half)>>shift
		b[8+i], b[48+i] = (t11+t2+half)>>shift, (t11-t2+half)>>shift
		b[16+i], b[40+i] = (t12+t1+half)>>shift, (t12-t1+half)>>shift
		b[24+i], b[32+i] = (t13+t0+half)>>shift, (t13-t0+half)>>shift
	}
	for y := range 8 {
		x := b[8*y : 8*y+8 : 8*y+8]
		out := dst[y*stride:][:8:8]
		t10, t11, t12, t13 := even(x[0], x[2], x[4], x[6])
		t0, t1, t2, t3 := odd(x[1], x[3], x[5], x[7])
		const shift = constBits + passBits + 3
		const half = 1<<(shift-1) + 128<<shift // and samples are stored from 0 on
		t10, t11, t12, t13 = t10+half, t11+half, t12+half, t13+half
		out[0], out[7] = sample((t10+t3)>>shift), sample((t10-t3)>>shift)
		out[1], out[6] = sample((t11+t2)>>shift), sample((t11-t2)>>shift)
		out[2], out[5] = sample((t12+t1)>>shift), sample((t12-t1)>>shift)
		out[3], out[4] = sample((t13+t0)>>shift), sample((t13-t0)>>shift)
	}
}

// even is the part of a transform of eight numbers that the even ones make.
func even(x0, x2, x4, x6 int32) (t10, t11, t12, t13 int32) {
	z := (x2 + x6) * fix0_541196100
	t2, t3 := z-x6*fix1_847759065, z+x2*fix0_765366865
	t0, t1 := (x0+x4)<<constBits, (x0-x4)<<constBits
	return t0 + t3, t1 + t2, t1 - t2, t0 - t3
}

// odd is the part that the odd ones make.
func odd(x1, x3, x5, x7 int32) (t0, t1, t2, t3 int32) {
	z5 := (x7 + x3 + x5 + x1) * fix1_175875602
	z1, z2 := -(x7+x1)*fix0_899976223, -(x5+x3)*fix2_562915447
	z3, z4 := z5-(x7+x3)*fix1_961570560, z5-(x5+x1)*fix0_390180644
	return x7*fix0_298631336 + z1 + z3, x5*fix2_053119869 + z2 + z4,
		x3*fix3_072711026 + z2 + z3, x1*fix1_501321110 + z1 + z4
}

// sample limits a value to the range of samples.
func sample(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^(v >> 31)) // 0 below, 255 above
	}
	return uint8(v)
}

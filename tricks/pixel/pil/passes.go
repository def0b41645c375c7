package pil

import "encoding/binary"

// clip rounds a sum that starts at half a level.
func clip(sum int32) uint8 { return uint8(min(max(sum>>precision, 0), 255)) }

const half = 1 << (precision - 1)

// rows3 makes rows of three channels.
func (a *axis) rows3(out, in window, width, height int) {
	fast := 0
	if vectors {
		pairs := a.pair(width)
		last := int(a.offsets[width-1]) + 6*pairs + 2
		for fast < height && fast*in.stride+last <= len(in.pix) && fast*out.stride+3*width+1 <= len(out.pix) {
			horizontalRGB(&out.pix[fast*out.stride], &in.pix[fast*in.stride], &a.offsets[0], &a.pairs[0], width, pairs)
			fast++
		}
	}
	if fast < height {
		out.pix, in.pix = out.pix[fast*out.stride:], in.pix[fast*in.stride:]
		a.horizontal3(out, in, width, height-fast)
	}
}

// pair lays the weights out for horizontalRGB and returns the number of pairs.
func (a *axis) pair(width int) int {
	n := 0
	for _, c := range a.count[:width] {
		n = max(n, (c+1)/2)
	}
	a.offsets, a.pairs = grow(a.offsets, width), grow(a.pairs, 8*n*width)
	clear(a.pairs)
	for x := range width {
		a.offsets[x] = int32(3 * a.first[x])
		for j, w := range a.weights[x*a.stride:][:a.count[x]] {
			at := 8*(n*x+j/2) + 4*(j%2)
			a.pairs[at], a.pairs[at+1], a.pairs[at+2] = w, w, w
		}
	}
	return n
}

func (a *axis) horizontal3(out, in window, width, height int) {
	for y := range height {
		dst, src := out.pix[y*out.stride:][:width*3], in.pix[y*in.stride:]
		for x := range width {
			n := a.count[x]
			k := a.weights[x*a.stride:][:n]
			s := src[a.first[x]*3:][:n*3]
			s0, s1, s2 := int32(half), int32(half), int32(half)
			for _, w := range k {
				if len(s) < 3 {
					break // never: it only tells the compiler the bounds
				}
				s0 += int32(s[0]) * w
				s1 += int32(s[1]) * w
				s2 += int32(s[2]) * w
				s = s[3:]
			}
			d := dst[x*3 : x*3+3]
			d[0], d[1], d[2] = clip(s0), clip(s1), clip(s2)
		}
	}
}

func (a *axis) horizontal1(out, in window, width, height int) {
	for y := range height {
		dst, src := out.pix[y*out.stride:][:width], in.pix[y*in.stride:]
		for x := range dst {
			s := src[a.first[x]:][:a.count[x]]
			sum := int32(half)
			for i, w := range a.weights[x*a.stride:][:len(s)] {
				sum += int32(s[i]) * w
			}
			dst[x] = clip(sum)
		}
	}
}

// vertical makes each row of dst from rows of in. Eight bytes are weighted
// with four multiplications, two to a multiplication: a sum of 8-bit values
// times weights fits into 32 bits, and 64 bits hold two such sums.
func (a *axis) vertical(dst Image, in window) {
	const even = 0x000000ff_000000ff
	const halves = half<<32 | half
	values := dst.W * dst.C
	for y := range dst.H {
		weights := a.weights[y*a.stride:][:a.count[y]]
		rows := in.pix[a.first[y]*in.stride:]
		out := dst.Pix[y*values:][:values]
		x := 0
		if n := values / 16; vectors && n > 0 {
			_ = rows[(len(weights)-1)*in.stride+16*n-1]
			verticalBlocks(&out[0], &rows[0], in.stride, &weights[0], len(weights), n)
			x = 16 * n
		}
		for ; x+8 <= values; x += 8 {
			s0, s1, s2, s3 := uint64(halves), uint64(halves), uint64(halves), uint64(halves)
			at := x
			for _, w := range weights {
				v := binary.LittleEndian.Uint64(rows[at:])
				k := uint64(int64(w))
				s0 += (v & even) * k
				s1 += (v >> 8 & even) * k
				s2 += (v >> 16 & even) * k
				s3 += (v >> 24 & even) * k
				at += in.stride
			}
			if a.negative {
				s0, s1, s2, s3 = clipBoth(s0), clipBoth(s1), clipBoth(s2), clipBoth(s3)
			} else {
				s0, s1, s2, s3 = s0>>precision&even, s1>>precision&even, s2>>precision&even, s3>>precision&even
			}
			binary.LittleEndian.PutUint64(out[x:], s0|s1<<8|s2<<16|s3<<24)
		}
		for ; x < values; x++ {
			sum, at := int32(half), x
			for _, w := range weights {
				sum += int32(rows[at]) * w
				at += in.stride
			}
			out[x] = clip(sum)
		}
	}
}

// clipBoth rounds two sums, of which the lower may have borrowed from the
// upper.
func clipBoth(s uint64) uint64 {
	lower := int32(s)
	upper := int32((s - uint64(int64(lower))) >> 32)
	return uint64(clip(upper))<<32 | uint64(clip(lower))
}

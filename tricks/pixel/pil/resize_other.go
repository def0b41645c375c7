//go:build !amd64

package pil

var vectors = false

func horizontalRGB(dst, src *uint8, offsets, weights *int32, width, pairs int) {
	panic("pil: no vector instructions")
}

func verticalBlocks(dst, src *uint8, stride int, weights *int32, taps, blocks int) {
	panic("pil: no vector instructions")
}

package pil

import "golang.org/x/sys/cpu"

// The two passes of a resize in AVX2: the same integers as in Go, eight at a
// time. Resizing is most of what a loader of raw photographs does.

// vectors tells whether the machine has the instructions; tests switch it off.
var vectors = cpu.X86.HasAVX2

// horizontalRGB makes one row of width pixels, of which pixel x begins at byte
// offsets[x] of src and is the sum of 2·pairs pixels times weights: per pair
// eight of them, four of the first pixel and four of the second. It reads up
// to two bytes more than the last pair, and writes one byte more than the row.
//
//go:noescape
func horizontalRGB(dst, src *uint8, offsets, weights *int32, width, pairs int)

// verticalBlocks makes 16·blocks bytes of a row from taps rows of src.
//
//go:noescape
func verticalBlocks(dst, src *uint8, stride int, weights *int32, taps, blocks int)

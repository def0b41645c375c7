// Package golden repeats the inputs of the goldens in testdata/golden and reads
// their results, for tests that compare training with PyTorch's.
//
// The formulas are those of tools/parity/formula.py, which explains them; the
// digests in the goldens' metadata prove that both give the same bytes.
package golden

import (
	"hash/fnv"
	"math"
	"strconv"
	"strings"
)

// Word returns the i-th 64-bit word of a named stream.
func Word(name string, i int) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return word(h.Sum64(), i)
}

func word(seed uint64, i int) uint64 {
	z := seed + uint64(i+1)*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// draws returns the first n values of a stream, in [-1, 1).
func draws(name string, n int) []float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	seed := h.Sum64()
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(word(seed, i)>>40)/(1<<23) - 1
	}
	return out
}

// Initial returns the initial value of a parameter or running statistic by
// its PyTorch name, in row-major order.
func Initial(name string, shape []int) []float32 {
	size := 1
	for _, d := range shape {
		size *= d
	}
	offset, scale := 0.0, 0.1
	switch {
	case len(shape) > 1:
		scale = math.Sqrt(6 / float64(size/shape[0]))
	case strings.HasSuffix(name, "bn2.weight"):
		offset, scale = 0.25, 0.0625
	case strings.HasSuffix(name, ".weight"), strings.HasSuffix(name, ".running_var"):
		offset, scale = 1, 0.25
	}
	out := make([]float32, size)
	for i, v := range draws(name, size) {
		out[i] = float32(offset + v*scale)
	}
	return out
}

// Classes and Size are the class count and the side of the images.
const (
	Classes = 10
	Size    = 32
)

// Batch returns the images, n×3×Size×Size, and soft targets, n×Classes, that
// step t of the golden with this salt trains on.
func Batch(salt, t, n int) (images, targets []float32) {
	step := strconv.Itoa(t)
	targets = make([]float32, n*Classes)
	noise := draws("images."+strconv.Itoa(salt)+"."+step, n*3*Size*Size)
	images = make([]float32, len(noise))
	for row := range n {
		a := int(Word("targets."+step, 3*row) % Classes)
		b := (a + 1 + int(Word("targets."+step, 3*row+1)%(Classes-1))) % Classes
		m := 472 + int(Word("targets."+step, 3*row+2)%401)
		for k := range Classes {
			v := 8
			if k == a {
				v += m
			} else if k == b {
				v += 944 - m
			}
			targets[row*Classes+k] = float32(v) / 1024
		}
		pattern := draws("pattern."+strconv.Itoa(a), 3*4*4)
		for i := range 3 * Size * Size {
			c, y, x := i/(Size*Size), i/Size%Size, i%Size
			at := row*3*Size*Size + i
			images[at] = float32(noise[at]*0.5 + pattern[(c*4+y/8)*4+x/8])
		}
	}
	return images, targets
}

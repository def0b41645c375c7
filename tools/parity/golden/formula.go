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

// Stream is a named stream of numbers.
type Stream uint64

// NewStream returns the stream of a name.
func NewStream(name string) Stream {
	h := fnv.New64a()
	h.Write([]byte(name))
	return Stream(h.Sum64())
}

// Word returns the i-th word.
func (s Stream) Word(i int) uint64 {
	z := uint64(s) + uint64(i+1)*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Draw returns the i-th word as a number in [-1, 1).
func (s Stream) Draw(i int) float64 { return float64(s.Word(i)>>40)/(1<<23) - 1 }

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
	s := NewStream(name)
	for i := range out {
		out[i] = float32(offset + s.Draw(i)*scale)
	}
	return out
}

// Classes and Size are the class count and the usual side of the images.
const (
	Classes = 10
	Size    = 32
)

// Batch returns the images, n×3×size×size, and soft targets, n×Classes, that
// step t of the golden with this salt trains on.
func Batch(salt, t, n, size int) (images, targets []float32) {
	step := strconv.Itoa(t)
	targets = make([]float32, n*Classes)
	images = make([]float32, n*3*size*size)
	words, noise := NewStream("targets."+step), NewStream("images."+strconv.Itoa(salt)+"."+step)
	for row := range n {
		a := int(words.Word(3*row) % Classes)
		b := (a + 1 + int(words.Word(3*row+1)%(Classes-1))) % Classes
		m := 472 + int(words.Word(3*row+2)%401)
		for k := range Classes {
			v := 8
			if k == a {
				v += m
			} else if k == b {
				v += 944 - m
			}
			targets[row*Classes+k] = float32(v) / 1024
		}
		pattern := NewStream("pattern." + strconv.Itoa(a))
		for i := range 3 * size * size {
			c, y, x := i/(size*size), i/size%size, i%size
			at := row*3*size*size + i
			images[at] = float32(noise.Draw(at)*0.5 + pattern.Draw((c*4+y/(size/4))*4+x/(size/4)))
		}
	}
	return images, targets
}

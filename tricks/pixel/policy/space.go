package policy

import "math"

// Space says what the magnitudes of the operations mean for images of one
// size: each graded operation has a value for every level, and some have two
// signs.
type Space struct {
	ops    []Op // those a random draw chooses from
	levels [count][]float64
	signed [count]bool
}

// Ops returns the operations a random draw chooses from. The caller must not
// change it.
func (s *Space) Ops() []Op { return s.ops }

// Signed reports whether half of the draws of an operation go the other way.
func (s *Space) Signed(op Op) bool { return s.signed[op] }

// Levels returns the number of levels; operations without magnitude have 1.
func (s *Space) Levels(op Op) int { return max(len(s.levels[op]), 1) }

// Value returns what Painter.Apply takes for an operation at a magnitude, 0 to
// Levels−1; between two levels it is interpolated. It is 0 for an operation
// without magnitude.
func (s *Space) Value(op Op, magnitude float64, negative bool) float64 {
	l := s.levels[op]
	if len(l) == 0 {
		return 0
	}
	magnitude = min(max(magnitude, 0), float64(len(l)-1))
	i := int(magnitude)
	v := l[i]
	if f := magnitude - float64(i); f > 0 {
		v += f * (l[i+1] - v)
	}
	if negative && s.signed[op] {
		v = -v
	}
	switch op {
	case TranslateX, TranslateY, Posterize, Cutout:
		v = math.Trunc(v)
	case Contrast, Color, Brightness, Sharpness:
		v++
	}
	return v
}

// The ranges are kept as the sources have them; enhancements as differences
// from a factor of 1.

func (s *Space) set(levels []float64, signed bool, ops ...Op) {
	for _, op := range ops {
		s.levels[op], s.signed[op] = levels, signed
	}
}

// linspace is torch.linspace: n float32 values, the upper half counted from
// the end, each rounded once as a fused multiply-add does. It matters: the
// middle of Wide's shifts is a hair below 16 pixels and cut off to 15.
func linspace(from, to float64, n int) []float64 {
	l := make([]float64, n)
	a, b := float32(from), float32(to)
	step := (b - a) / float32(max(n-1, 1))
	for i := range l {
		if i < n/2 {
			l[i] = float64(float32(float64(a) + float64(step)*float64(i)))
		} else {
			l[i] = float64(float32(float64(b) - float64(step)*float64(n-1-i)))
		}
	}
	return l
}

// bits is torchvision's row of posterize levels: from top down by fall.
func bits(top, fall, n int) []float64 {
	l := make([]float64, n)
	for i := range l {
		step := float32(float64(n-1) / float64(fall))
		l[i] = float64(top) - math.RoundToEven(float64(float32(i)/step))
	}
	return l
}

// ungraded are the operations every space has.
var ungraded = []Op{AutoContrast, Equalize}

// Torchvision returns the ranges of torchvision's AutoAugment and
// RandAugment (bins 10 and 31), which are the paper's: shear to 0.3, shift to
// 150/331 of the side, rotation to 30°, enhancement to 1 ± 0.9, posterize
// from 8 to 4 bits, solarize from 255 to 0; and of Cutout to 60/331 of the
// shorter side and SamplePairing to a weight of 0.4, which torchvision lacks.
// Level 0 is the weakest.
func Torchvision(w, h, bins int) *Space {
	s := &Space{ops: []Op{Identity, ShearX, ShearY, TranslateX, TranslateY, Rotate, Brightness, Color, Contrast, Sharpness,
		Posterize, Solarize, AutoContrast, Equalize}}
	s.set(linspace(0, 0.3, bins), true, ShearX, ShearY)
	s.set(linspace(0, 150.0/331.0*float64(w), bins), true, TranslateX)
	s.set(linspace(0, 150.0/331.0*float64(h), bins), true, TranslateY)
	s.set(linspace(0, 30, bins), true, Rotate)
	s.set(linspace(0, 0.9, bins), true, Brightness, Color, Contrast, Sharpness)
	s.set(bits(8, 4, bins), false, Posterize)
	s.set(linspace(255, 0, bins), false, Solarize)
	s.set(linspace(0, 60.0/331.0*float64(min(w, h)), bins), false, Cutout)
	s.set(linspace(0, 0.4, bins), false, SamplePairing)
	return s
}

// Wide returns the ranges of TrivialAugment Wide (Müller and Hutter 2021) as
// torchvision has them: shear to 0.99, shift to 32 pixels, rotation to 135°,
// enhancement to 1 ± 0.99, posterize from 8 to 2 bits.
func Wide(bins int) *Space {
	s := Torchvision(1, 1, bins)
	s.set(linspace(0, 0.99, bins), true, ShearX, ShearY, Brightness, Color, Contrast, Sharpness)
	s.set(linspace(0, 32, bins), true, TranslateX, TranslateY)
	s.set(linspace(0, 135, bins), true, Rotate)
	s.set(bits(8, 6, bins), false, Posterize)
	return s
}

// AugMix returns the ranges of torchvision's AugMix, at 10 levels: those of
// AutoAugment but for shifts to a third of the side and posterize from 4 to 0
// bits. With all false the four enhancements, which overlap with the
// corruptions of ImageNet-C, are left out of the draw.
func AugMix(w, h int, all bool) *Space {
	const levels = 10
	s := Torchvision(w, h, levels)
	s.ops = append([]Op{ShearX, ShearY, TranslateX, TranslateY, Rotate, Posterize, Solarize}, ungraded...)
	if all {
		s.ops = append(s.ops, Brightness, Color, Contrast, Sharpness)
	}
	s.set(linspace(0, float64(w)/3, levels), true, TranslateX)
	s.set(linspace(0, float64(h)/3, levels), true, TranslateY)
	s.set(bits(4, 4, levels), false, Posterize)
	return s
}

// Reference returns the ranges of the code published with AutoAugment for
// CIFAR: the levels are tenths, so that level 9 is nine tenths of the range;
// enhancement goes one way, from 0.1 at level 0 (nearly grey, black or
// blurred) to 1.72; posterize goes from 4 bits to 1; solarize from 256 to 26;
// shifts to 10 of 32 pixels, holes of Cutout to 20 of 32; angles, shifts and
// thresholds are whole numbers.
func Reference(w, h int) *Space {
	const levels = 10
	s := Torchvision(w, h, levels)
	tenths := func(f func(level float64) float64) []float64 {
		l := make([]float64, levels)
		for i := range l {
			l[i] = f(float64(i))
		}
		return l
	}
	to := func(most float64) func(float64) float64 {
		return func(level float64) float64 { return level * most / levels }
	}
	whole := func(most float64) func(float64) float64 {
		return func(level float64) float64 { return math.Trunc(level * most / levels) }
	}
	s.set(tenths(to(0.3)), true, ShearX, ShearY)
	s.set(tenths(whole(10.0/32*float64(w))), true, TranslateX)
	s.set(tenths(whole(10.0/32*float64(h))), true, TranslateY)
	s.set(tenths(whole(30)), true, Rotate)
	s.set(tenths(func(l float64) float64 { return l*1.8/levels + 0.1 - 1 }), false, Brightness, Color, Contrast, Sharpness)
	s.set(tenths(func(l float64) float64 { return 4 - math.Trunc(l*4/levels) }), false, Posterize)
	s.set(tenths(func(l float64) float64 { return 256 - math.Trunc(l*256/levels) }), false, Solarize)
	s.set(tenths(whole(20.0/32*float64(min(w, h)))), false, Cutout)
	s.set(tenths(to(0.4)), false, SamplePairing)
	return s
}

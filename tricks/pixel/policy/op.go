// Package policy is AutoAugment's language: named operations, ranges of
// magnitudes, policies of sub-policies, and the files they are kept in.
package policy

import (
	"fmt"

	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
)

// Op is an operation on an image.
type Op uint8

// The operations of AutoAugment (Cubuk et al. 2018, table 6) and Identity.
const (
	Identity Op = iota
	ShearX
	ShearY
	TranslateX
	TranslateY
	Rotate
	AutoContrast
	Invert
	Equalize
	Solarize
	Posterize
	Contrast
	Color
	Brightness
	Sharpness
	Cutout
	SamplePairing // the only one that needs a second image
	count         // of operations
)

var names = [count]string{
	"Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "AutoContrast", "Invert", "Equalize",
	"Solarize", "Posterize", "Contrast", "Color", "Brightness", "Sharpness", "Cutout", "SamplePairing",
}

// String returns the operation's name as the paper writes it.
func (o Op) String() string {
	if o < count {
		return names[o]
	}
	return fmt.Sprintf("Op(%d)", uint8(o))
}

// Ops returns all operations.
func Ops() []Op {
	all := make([]Op, count)
	for i := range all {
		all[i] = Op(i)
	}
	return all
}

// ParseOp returns the operation of that name, spelt as in the paper. The
// error for an unknown one suggests the nearest.
func ParseOp(name string) (Op, error) {
	for i, n := range names {
		if n == name {
			return Op(i), nil
		}
	}
	return 0, fmt.Errorf("unknown operation %q%s", name, nearest.Hint(name, names[:]))
}

// Graded reports whether the operation has a magnitude.
func (o Op) Graded() bool {
	switch o {
	case Identity, AutoContrast, Invert, Equalize:
		return false
	}
	return true
}

// Painter carries operations out.
type Painter struct {
	// Filter reads the image between its pixels: pil.Nearest or pil.Bilinear.
	Filter pil.Filter
	// Outside is the colour of what comes from beyond the border, and of the
	// holes of Cutout.
	Outside pil.Colour
	// Partner is the second image of SamplePairing, of the size of the first.
	Partner pil.Image
}

// Apply carries out an operation with a value of its own kind: a slope, a
// shift in whole pixels to the right or down, degrees counter-clockwise, a
// threshold, bits, an enhancement factor (1 changes nothing), the side of a
// hole, the weight of the partner. x and y are the centre of the hole. dst and src have the same size
// and must not overlap.
func (p Painter) Apply(dst, src pil.Image, op Op, value float64, x, y int) {
	switch op {
	case ShearX:
		pil.ShearX(dst, src, value, p.Filter, p.Outside)
	case ShearY:
		pil.ShearY(dst, src, value, p.Filter, p.Outside)
	case TranslateX:
		pil.TranslateX(dst, src, value, p.Filter, p.Outside)
	case TranslateY:
		pil.TranslateY(dst, src, value, p.Filter, p.Outside)
	case Rotate:
		pil.Rotate(dst, src, value, p.Filter, p.Outside)
	case AutoContrast:
		pil.AutoContrast(dst, src)
	case Invert:
		pil.Invert(dst, src)
	case Equalize:
		pil.Equalize(dst, src)
	case Solarize:
		pil.Solarize(dst, src, value)
	case Posterize:
		pil.Posterize(dst, src, int(value))
	case Contrast:
		pil.Contrast(dst, src, value)
	case Color:
		pil.Color(dst, src, value)
	case Brightness:
		pil.Brightness(dst, src, value)
	case Sharpness:
		pil.Sharpness(dst, src, value)
	case Cutout:
		pil.Cutout(dst, src, x, y, int(value), p.Outside)
	case SamplePairing:
		pil.Blend(dst, src, p.Partner, value)
	default:
		copy(dst.Pix, src.Pix)
	}
}

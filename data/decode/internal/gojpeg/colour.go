package gojpeg

// Kind says what the components of an image are.
type Kind uint8

// The kinds of images. Inks of CMYK and YCCK are stored inverted: 255 is no ink.
const (
	Grey Kind = iota
	YCbCr
	RGB
	CMYK
	YCCK // CMY as YCbCr, and K
)

// Image holds the samples of an image's components, at 1/1 to 1/8 of its size.
type Image struct {
	Kind   Kind
	Planes []Plane
}

// Plane holds the samples of one component: the first W of every Stride in the
// first H rows; what lies beyond them the encoder made up. Each stands for HX×VY
// pixels of the image, at the size at which it was decoded.
type Plane struct {
	Pix    []uint8
	Stride int
	W, H   int
	HX, VY int

	size int // samples a side that a block makes: 8, 4, 2 or 1
}

// kind tells what the components are, as libjpeg's jdapimin.c does.
func (d *decoder) kind() Kind {
	switch {
	case d.nComp == 1:
		return Grey
	case d.nComp == 4 && d.adobeTransformValid && d.adobeTransform != adobeTransformUnknown:
		return YCCK
	case d.nComp == 4:
		return CMYK
	case d.jfif:
		return YCbCr
	case d.adobeTransformValid && d.adobeTransform == adobeTransformUnknown,
		!d.adobeTransformValid && d.comp[0].c == 'R' && d.comp[1].c == 'G' && d.comp[2].c == 'B':
		return RGB
	}
	return YCbCr
}

// makePlanes makes room for the samples of an image of mxx×myy MCUs. A component
// that is stored at fewer samples than the first is shrunk less, if that spares
// enlarging it in both directions (libjpeg's jdmaster.c).
func (d *decoder) makePlanes(mxx, myy int) {
	maxH, maxV, least := d.comp[0].h, d.comp[0].v, 8/d.shrink
	d.planes = make([]Plane, d.nComp)
	for i := range d.planes {
		c, p := &d.comp[i], &d.planes[i]
		p.size = least
		for p.size < 8 && maxH*least%(2*c.h*p.size) == 0 && maxV*least%(2*c.v*p.size) == 0 {
			p.size *= 2
		}
		p.HX, p.VY = maxH*least/(c.h*p.size), maxV*least/(c.v*p.size)
		p.W, p.H = ceil(d.width*c.h*p.size, 8*maxH), ceil(d.height*c.v*p.size, 8*maxV)
		p.Stride = mxx * c.h * p.size
		p.Pix = make([]byte, p.Stride*myy*c.v*p.size)
	}
}

func ceil(a, b int) int { return (a + b - 1) / b }

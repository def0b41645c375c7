package data

import (
	"fmt"
	"math"

	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// What images of the user's own are trained with where the recipe does not
// say: the size, normalisation and augmentation of ImageNet.
const (
	usualSide      = 224
	usualTestSplit = 0.2
)

var (
	usualMean = []float64{0.485, 0.456, 0.406}
	usualStd  = []float64{0.229, 0.224, 0.225}
)

func cropResizedAndMirror() recipe.Augment {
	return recipe.Augment{{Name: "random_resized_crop"}, {Name: "mirror"}}
}

// registerFormat registers a format with the usual defaults.
func registerFormat(d Definition) {
	d.Mean, d.Std, d.Augment = usualMean, usualStd, cropResizedAndMirror()
	Register(d)
}

// side returns the images' size that the options ask for.
func (o Options) side() pixel.Size {
	n := o.Size
	if n == 0 {
		n = usualSide
	}
	return pixel.Size{W: n, H: n, C: 3}
}

// index opens a format, divides what its files do not, and checks what no
// format may get wrong.
func (d *Definition) index(o Options) (*Parts, error) {
	p, err := d.Index(d, o)
	if err != nil {
		return nil, err
	}
	if n := len(p.Problems); n > o.SkipBroken {
		more := ""
		if n > 1 {
			more = fmt.Sprintf(" (and %d more)", n-1)
		}
		return nil, fmt.Errorf("%v%s; 'ortrain data verify' lists all such files, data.skip_broken=%d leaves them out", p.Problems[0], more, n)
	}
	if p.Train.Len() == 0 {
		return nil, fmt.Errorf("%s in %s: there are no training images", d.Name, o.Dir)
	}
	if p.Test == nil {
		if err := p.divide(o); err != nil {
			return nil, err
		}
	}
	if p.Test.Len() == 0 {
		return nil, fmt.Errorf("%s in %s: there are no test images", d.Name, o.Dir)
	}
	return p, nil
}

// divide holds out test images of every class. The seed of the run has no say
// in it: runs of different seeds are judged on the same images.
func (p *Parts) divide(o Options) error {
	share := o.TestSplit
	if share == 0 {
		share = usualTestSplit
	}
	n := int(math.Round(share * float64(p.Train.Len())))
	if n < 1 || n >= p.Train.Len() {
		return fmt.Errorf("data.test_split: %v of %d images are %d; the files hold no test images, so leave some of both", share, p.Train.Len(), n)
	}
	const fixed = 1
	p.Test, p.Train = p.Train.Split(n, fixed)
	return nil
}

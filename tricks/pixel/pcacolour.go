package pixel

import (
	_ "embed" // the card
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed pcacolour.md
var pcaColourCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "pca_colour",
		Summary: "shift all pixels along the principal components of the data's colours",
		Card:    pcaColourCard,
	}, func() Options { return &PCAColourOptions{Std: 0.1, From: "imagenet"} })
}

// PCA is an eigen decomposition of the covariance of red, green and blue of
// pixels scaled to [0, 1]: component i has the eigenvalue Values[i], from the
// largest down, and the unit vector Vectors[0][i], Vectors[1][i],
// Vectors[2][i].
type PCA struct {
	Values  [3]float64
	Vectors [3][3]float64
}

// imageNetPCA are the constants of fb.resnet.torch and its descendants.
var imageNetPCA = PCA{
	Values: [3]float64{0.2175, 0.0188, 0.0045},
	Vectors: [3][3]float64{
		{-0.5675, 0.7192, 0.4009},
		{-0.5808, -0.0045, -0.8140},
		{-0.5836, -0.6948, 0.4203},
	},
}

// MeasurePCA computes the decomposition over all pixels of n images, which
// read gives one by one, such as a data set's Read. It fails when read does or
// an image does not have three channels.
func MeasurePCA(n int, read func(i int, m *Image) error) (PCA, error) {
	var m Image
	var sums ColourSums
	for i := range n {
		if err := read(i, &m); err != nil {
			return PCA{}, fmt.Errorf("colour components: image %d: %w", i, err)
		}
		if m.C != 3 {
			return PCA{}, fmt.Errorf("colour components: image %d has %d channels, not 3", i, m.C)
		}
		sums.Add(&m)
	}
	return sums.PCA()
}

// ColourSums adds up the colours of pixels and their products in whole numbers,
// so that the order of the images does not matter (up to 2⁴⁸ pixels). The zero
// value is ready.
type ColourSums struct {
	pixels   uint64
	sums     [3]uint64
	products [3][3]uint64
}

// Add adds the pixels of an image of three channels.
func (c *ColourSums) Add(m *Image) {
	for p := m.Pix; len(p) >= 3; p = p[3:] {
		v := [3]uint64{uint64(p[0]), uint64(p[1]), uint64(p[2])}
		for a := range v {
			c.sums[a] += v[a]
			for b := a; b < 3; b++ {
				c.products[a][b] += v[a] * v[b]
			}
		}
	}
	c.pixels += uint64(m.W * m.H)
}

// Merge adds the sums of other pixels.
func (c *ColourSums) Merge(other *ColourSums) {
	c.pixels += other.pixels
	for a := range c.sums {
		c.sums[a] += other.sums[a]
		for b := a; b < 3; b++ {
			c.products[a][b] += other.products[a][b]
		}
	}
}

// PCA returns the components of the pixels' colours, scaled to [0, 1].
func (c *ColourSums) PCA() (PCA, error) {
	if c.pixels == 0 {
		return PCA{}, errors.New("colour components: there are no pixels")
	}
	n := float64(c.pixels)
	var mean [3]float64
	for a := range mean {
		mean[a] = float64(c.sums[a]) / 255 / n
	}
	cov := mat.NewSymDense(3, nil)
	for a := range mean {
		for b := a; b < 3; b++ {
			cov.SetSym(a, b, float64(c.products[a][b])/(255*255)/n-mean[a]*mean[b])
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(cov, true) {
		return PCA{}, errors.New("colour components: the eigen decomposition did not converge")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	values := eigen.Values(nil) // from the smallest up
	var out PCA
	for i := range 3 {
		out.Values[i] = max(values[2-i], 0)
		for c := range 3 {
			out.Vectors[c][i] = vectors.At(c, 2-i)
		}
	}
	return out, nil
}

// PCAColour adds Σ p_i·α_i·λ_i to every pixel, α_i drawn from N(0, Std²) once
// an image, p_i and λ_i the components' vectors and eigenvalues (Krizhevsky et
// al. 2012, "ImageNet classification with deep convolutional neural networks",
// §4.1). The sum is rounded to 8 bits and clipped.
type PCAColour struct {
	PCA PCA
	Std float64
}

// Size implements Transform.
func (PCAColour) Size(in Size) Size { return in }

// Sample implements Transform. Float[0…2] are what is added to red, green and
// blue, in levels of 0 to 255.
func (t PCAColour) Sample(r *rng.Stream, _ Size) (p Params) {
	for i, value := range t.PCA.Values {
		a := r.NormFloat64() * t.Std * value * 255
		for c := range 3 {
			p.Float[c] += t.PCA.Vectors[c][i] * a
		}
	}
	return p
}

// Apply implements Pixels.
func (PCAColour) Apply(dst, src *Image, p *Params) {
	pil.Offset(dst.view(), src.view(), [3]float64{p.Float[0], p.Float[1], p.Float[2]})
}

// PCAColourOptions are the recipe keys of PCA colour.
type PCAColourOptions struct {
	// Std is the standard deviation of the random factors.
	Std float64 `yaml:"std"`
	// From says where the components come from: "imagenet", the usual
	// constants; "data", measured over the training images when the run begins;
	// "given", by Values and Vectors.
	From string `yaml:"from"`
	// Values are the three eigenvalues, of pixels scaled to [0, 1]. With From
	// "data" they are the record of what was measured.
	Values []float64 `yaml:"values,flow,omitempty"`
	// Vectors are the nine numbers of the eigenvectors: red of each
	// component, green of each, blue of each.
	Vectors []float64 `yaml:"vectors,flow,omitempty"`
}

// Validate implements Options.
func (o *PCAColourOptions) Validate() error {
	if err := first(
		checkWithin("std", o.Std, 0, 100),
		checkName("from", "source of components", o.From, "imagenet", "data", "given"),
	); err != nil {
		return err
	}
	switch {
	case o.From == "imagenet" && len(o.Values)+len(o.Vectors) > 0:
		key := "values"
		if len(o.Values) == 0 {
			key = "vectors"
		}
		return strict.Errorf(key, "from: imagenet has constants of its own; say from: given")
	case o.From == "imagenet", o.Unmeasured():
		return nil
	case len(o.Values) != 3:
		return strict.Errorf("values", "needs 3 eigenvalues, got %d", len(o.Values))
	case len(o.Vectors) != 9:
		return strict.Errorf("vectors", "needs 9 numbers, red, green and blue of 3 components each, got %d", len(o.Vectors))
	}
	for _, v := range o.Values {
		if !(v >= 0) || math.IsInf(v, 0) {
			return strict.Errorf("values", "eigenvalues are not negative, got %v", o.Values)
		}
	}
	for i := range 3 {
		x, y, z := o.Vectors[i], o.Vectors[3+i], o.Vectors[6+i]
		if n := math.Sqrt(x*x + y*y + z*z); !(math.Abs(n-1) < 0.01) {
			return strict.Errorf("vectors", "component %d has length %.3g, not 1 (the columns are the components)", i+1, n)
		}
	}
	return nil
}

// Unmeasured implements Measurer.
func (o *PCAColourOptions) Unmeasured() bool {
	return o.From == "data" && len(o.Values) == 0 && len(o.Vectors) == 0
}

// Measure implements Measurer.
func (o *PCAColourOptions) Measure(n int, read func(i int, m *Image) error) error {
	p, err := MeasurePCA(n, read)
	if err != nil {
		return err
	}
	o.Values, o.Vectors = p.Values[:], nil
	for _, row := range p.Vectors {
		o.Vectors = append(o.Vectors, row[:]...)
	}
	return nil
}

// Build implements Options. What has to be measured must have been.
func (o *PCAColourOptions) Build(info Info) (Transform, error) {
	if info.In.C != 3 {
		return nil, fmt.Errorf("needs images with 3 channels, these have %d; leave pca_colour out", info.In.C)
	}
	if o.Unmeasured() {
		return nil, strict.Errorf("from", "the components of the data are not measured yet")
	}
	t := PCAColour{Std: o.Std, PCA: imageNetPCA}
	if o.From == "imagenet" {
		return t, nil
	}
	copy(t.PCA.Values[:], o.Values)
	for i, v := range o.Vectors {
		t.PCA.Vectors[i/3][i%3] = v
	}
	return t, nil
}

package pixel

import "fmt"

// Normaliser turns 8-bit values into (v/255 − mean)/std through one table of
// 256 entries per channel.
//
// The entries are computed as float32 products and sums, v·Scale + Shift, each
// rounded: a graph that is given the 8-bit values and multiplies and adds by
// itself gets the same numbers to the last bit.
type Normaliser struct {
	table        [][256]float32
	scale, shift []float32
}

// NewNormaliser returns the normaliser for the given per-channel mean and
// standard deviation of pixels scaled to [0, 1]. It fails when the two differ
// in length, have neither 1 nor 3 channels, or a deviation is not positive.
func NewNormaliser(mean, std []float64) (*Normaliser, error) {
	if len(mean) != len(std) || (len(mean) != 1 && len(mean) != 3) {
		return nil, fmt.Errorf("normalise: %d means and %d deviations; need one of each per channel (1 or 3)", len(mean), len(std))
	}
	n := &Normaliser{table: make([][256]float32, len(mean))}
	for c := range n.table {
		if !(std[c] > 0) {
			return nil, fmt.Errorf("normalise: the deviation of channel %d is %v; it must be above 0", c, std[c])
		}
		scale, shift := float32(1/(255*std[c])), float32(-mean[c]/std[c])
		n.scale, n.shift = append(n.scale, scale), append(n.shift, shift)
		for v := range n.table[c] {
			// The conversion keeps the compiler from rounding only once.
			n.table[c][v] = float32(float32(v)*scale) + shift
		}
	}
	return n, nil
}

// Channels returns the number of channels.
func (n *Normaliser) Channels() int { return len(n.table) }

// Affine returns what an 8-bit value is multiplied by and what is then added,
// per channel; the caller must not change them.
func (n *Normaliser) Affine() (scale, shift []float32) { return n.scale, n.shift }

// Apply writes the normalised src to dst as planes: C×H×W. It panics if the
// lengths or channels do not fit.
func (n *Normaliser) Apply(dst []float32, src *Image) {
	n.ApplyWindow(dst, src, whole(src.Size))
}

// ApplyWindow writes what the window shows of src to dst, normalised, as
// planes: C×H×W of the window. It panics if the lengths or channels do not
// fit.
func (n *Normaliser) ApplyWindow(dst []float32, src *Image, v Window) {
	intoPlanes(dst, src, v, n.table)
}

// ApplyPlanes writes normalised images to dst that were left as 8-bit planes:
// any number of C×H×W images of the same length as dst. It panics if the
// lengths do not fit.
func (n *Normaliser) ApplyPlanes(dst []float32, src []uint8, size Size) {
	if len(dst) != len(src) || size.C != len(n.table) || len(src)%size.Elements() != 0 {
		panic(fmt.Sprintf("pixel: normalise %d planes of %v into %d values of %d channels", len(src), size, len(dst), len(n.table)))
	}
	plane := size.W * size.H
	for at := 0; at < len(src); at += plane {
		t, out := &n.table[at/plane%size.C], dst[at:at+plane]
		for i, v := range src[at : at+plane] {
			out[i] = t[v]
		}
	}
}

// plain maps every 8-bit value to itself, in up to three channels.
var plain = func() [][256]uint8 {
	t := make([][256]uint8, 3)
	for c := range t {
		for v := range t[c] {
			t[c][v] = uint8(v)
		}
	}
	return t
}()

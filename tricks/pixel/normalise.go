package pixel

import "fmt"

// Normaliser turns 8-bit values into (v/255 − mean)/std through one table of
// 256 entries per channel.
type Normaliser struct {
	table [][256]float32
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
		for v := range n.table[c] {
			n.table[c][v] = float32((float64(v)/255 - mean[c]) / std[c])
		}
	}
	return n, nil
}

// Channels returns the number of channels.
func (n *Normaliser) Channels() int { return len(n.table) }

// Apply writes the normalised src to dst as planes: C×H×W. It panics if the
// lengths or channels do not fit.
func (n *Normaliser) Apply(dst []float32, src *Image) {
	n.ApplyWindow(dst, src, whole(src.Size))
}

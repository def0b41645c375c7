package calibrate

import (
	"errors"
	"math"
)

// bins is the resolution of a histogram, as in TensorRT and ONNX Runtime.
const bins = 2048

// histogram counts a tensor's values, in bins of equal width over all that was
// seen.
type histogram struct {
	low, high float64
	bins      []float64
	scale     float64 // bins per unit
}

func newHistogram() *histogram { return &histogram{low: math.Inf(1), high: math.Inf(-1)} }

// bound widens the bounds to hold the values.
func (h *histogram) bound(v []float32) error {
	low, high := float32(math.Inf(1)), float32(math.Inf(-1))
	for _, x := range v {
		if x != x {
			return errors.New("it holds a NaN")
		}
		low, high = min(low, x), max(high, x)
	}
	h.low, h.high = math.Min(h.low, float64(low)), math.Max(h.high, float64(high))
	if math.IsInf(h.low, 0) || math.IsInf(h.high, 0) {
		return errors.New("it holds an infinity")
	}
	return nil
}

// open prepares for counting between the bounds, which are widened to hold 0.
func (h *histogram) open() {
	h.low, h.high = math.Min(h.low, 0), math.Max(h.high, 0)
	h.bins = make([]float64, bins)
	if h.high > h.low {
		h.scale = bins / (h.high - h.low)
	}
}

func (h *histogram) count(v []float32) {
	for _, x := range v {
		i := int((float64(x) - h.low) * h.scale)
		h.bins[min(max(i, 0), bins-1)]++
	}
}

// edge returns the lower edge of bin i.
func (h *histogram) edge(i int) float64 { return h.low + (h.high-h.low)*float64(i)/bins }

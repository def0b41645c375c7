package data

import (
	"fmt"
	"math"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// Stats returns the mean and the standard deviation (of the population) of
// every channel over all pixels of a subset, scaled to [0, 1]: what a recipe
// takes as data.mean and data.std. The result is exact up to rounding and
// does not depend on the order of the images.
func Stats(s *Subset) (mean, std []float64, err error) {
	channels := s.Source.Size().C
	counts := make([][256]uint64, channels)
	var img pixel.Image
	for i := range s.All() {
		if err := s.Source.Read(i, &img); err != nil {
			return nil, nil, fmt.Errorf("image %d: %w", i, err)
		}
		for p, v := range img.Pix {
			counts[p%channels][v]++
		}
	}
	if s.Len() == 0 {
		return nil, nil, fmt.Errorf("data: no images to take statistics of")
	}
	mean, std = make([]float64, channels), make([]float64, channels)
	for c := range counts {
		var n, sum float64
		for v, count := range counts[c] {
			n += float64(count)
			sum += float64(count) * float64(v)
		}
		mean[c] = sum / n
		var square float64
		for v, count := range counts[c] {
			square += float64(count) * (float64(v) - mean[c]) * (float64(v) - mean[c])
		}
		std[c] = math.Sqrt(square/n) / 255
		mean[c] /= 255
	}
	return mean, std, nil
}

package data

import (
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// mostMeasured is the number of images that are looked at, of more those at
// even distances.
const mostMeasured = 10_000

// Measure completes a recipe's augmentation by what it takes from the training
// images, if anything, such as the components of their colours. The recipe must
// be resolved; it is changed, and does not need it a second time.
func Measure(d *Dataset, r *recipe.Recipe) error {
	n := min(d.Train.Len(), mostMeasured)
	var memory source
	return r.Measure(n, func(i int, m *pixel.Image) error {
		at := d.Train.At(int(int64(i) * int64(d.Train.Len()) / int64(n)))
		img, err := memory.read(d.Train.Source, at)
		if err != nil {
			return err
		}
		*m = *img
		return nil
	})
}

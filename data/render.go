package data

import (
	"fmt"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// Render runs the images of a small subset through a chain, as the first epoch
// of a run with the seed would have them, and returns the planes of each.
func Render(set *Subset, chain *pixel.Chain, seed uint64) ([][]float32, error) {
	w := chain.NewWorker()
	w.Pair(&partners{set: set})
	var memory source
	out := make([][]float32, set.Len())
	for i := range out {
		at := set.At(i)
		img, err := memory.read(set.Source, at)
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", at, err)
		}
		out[i] = make([]float32, chain.Out().Elements())
		w.Apply(out[i], img, seed, 0, at)
	}
	return out, nil
}

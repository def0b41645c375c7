package batch

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/ortrain/ortrain/tricks/rng"
	"github.com/ortrain/ortrain/tricks/strict"
)

// beta draws from the symmetric Beta(a, a), a > 0.
func beta(r *rng.Stream, a float64) float64 {
	if a == 1 {
		return r.Float64() // it is the uniform distribution
	}
	v := distuv.Beta{Alpha: a, Beta: a, Src: r}.Rand()
	if math.IsNaN(v) {
		// A ratio of two gammas so small that both are 0: the distribution
		// has almost all its mass at the two ends.
		return float64(r.IntN(2))
	}
	return v
}

// steepest is the largest parameter of a Beta distribution that is not a slip
// of the keyboard: draws are then 0.5 ± 0.016.
const steepest = 1000

func checkBeta(key string, v float64) error {
	if !(v >= 0 && v <= steepest) {
		return strict.Errorf(key, "must be 0 (off) to %d, got %v", steepest, v)
	}
	return nil
}

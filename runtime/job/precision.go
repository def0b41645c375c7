package job

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// mixed is what the artifacts need to know of a resolved recipe's precision; nil
// for float32.
func mixed(r *recipe.Recipe) *artifact.Mixed {
	if !r.Precision.Mixed() {
		return nil
	}
	if fixed := r.Precision.LossScale.Number; fixed != nil {
		return &artifact.Mixed{LossScale: float32(*fixed)}
	}
	return &artifact.Mixed{LossScale: artifact.FirstLossScale, Dynamic: true, GrowthInterval: r.Precision.GrowthInterval}
}

// lossScale is what the loss is scaled by now; 0 in float32.
func (t *run) lossScale() float64 {
	if state := t.trainer.View().LossScale; state != nil {
		return float64(artifact.ScaleOf(state))
	}
	return 0
}

// noteOverflows tells of the steps of the epoch that mixed precision skipped.
func (t *run) noteOverflows() {
	if n := t.sums.Overflows; n > 0 {
		t.cfg.Reporter.Note(fmt.Sprintf("the scaled gradient overflowed float16 in %d of %d steps, which were skipped; the loss is now scaled by %g",
			n, t.perEpoch, t.lossScale()))
	}
}

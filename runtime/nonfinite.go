package runtime

import (
	"errors"
	"fmt"
	"math"

	"github.com/ortrain/ortrain/graphs/artifact"
)

// ErrNonFinite is wrapped by the error of a step or an evaluation whose loss
// or gradient is infinite or not a number.
var ErrNonFinite = errors.New("the loss is not finite")

// NonFiniteError says at which step training diverged. It wraps ErrNonFinite.
type NonFiniteError struct {
	// Step is the global number of the step, from 0.
	Step int64
	// Loss and GradientNorm are the step's; one of them is not finite.
	Loss, GradientNorm float32
	// LossScale is the scale of the loss under which the gradient overflows in
	// mixed precision, and no lower one is to be tried; 0 for other reasons.
	LossScale float32
}

func (e *NonFiniteError) Error() string {
	what := fmt.Sprintf("the loss is %v", e.Loss)
	if finite(e.Loss) {
		what = fmt.Sprintf("the norm of the gradient is %v (the loss %v)", e.GradientNorm, e.Loss)
	}
	if e.LossScale > 1 {
		return fmt.Sprintf("the gradient overflows float16 at step %d, the loss scaled by %.0f: give precision.loss_scale a lower value or dynamic", e.Step, e.LossScale)
	}
	return fmt.Sprintf("%s at step %d: training diverged; lower the learning rate or lengthen the warm-up", what, e.Step)
}

// Unwrap returns ErrNonFinite.
func (e *NonFiniteError) Unwrap() error { return ErrNonFinite }

func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }

// judge tells of each of the last steps, not counted yet, whether it is Skipped
// and an Overflow, and returns the error of the first that is neither finite nor to be
// skipped.
//
// In mixed precision an overflow of the scaled gradient is to be skipped, as
// long as a lower scale may do better; a loss that is not finite is the loss of
// the network as it is, whatever the scale.
func (t *Trainer) judge(steps []StepResult) error {
	p := t.manifest.Precision
	var state []float32
	if p != nil {
		state = t.banks[t.front].lossScale.Floats()
	}
	for i := range steps {
		r := &steps[i]
		r.Skipped = !(finite(r.Loss) && finite(r.GradientNorm))
		if r.Skipped && p != nil && finite(r.Loss) {
			r.Overflow = !p.Exhausted(state)
		}
		if r.Skipped && !r.Overflow && !t.manifest.Guard {
			e := &NonFiniteError{Step: t.step + int64(i), Loss: r.Loss, GradientNorm: r.GradientNorm}
			if p != nil && finite(r.Loss) {
				e.LossScale = artifact.ScaleOf(state)
			}
			return e
		}
		if p != nil {
			state = p.Next(state, !r.Skipped)
		}
	}
	return nil
}

package runtime

import (
	"errors"
	"fmt"
	"math"
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
}

func (e *NonFiniteError) Error() string {
	what := fmt.Sprintf("the loss is %v", e.Loss)
	if finite(e.Loss) {
		what = fmt.Sprintf("the norm of the gradient is %v (the loss %v)", e.GradientNorm, e.Loss)
	}
	return fmt.Sprintf("%s at step %d: training diverged; lower the learning rate or lengthen the warm-up", what, e.Step)
}

// Unwrap returns ErrNonFinite.
func (e *NonFiniteError) Unwrap() error { return ErrNonFinite }

func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }

package runtime

import (
	"errors"
	"slices"
)

// Examination is what a step computes, for people who want to know why.
type Examination struct {
	Loss, GradientNorm float32
	// Logits is N×K, Gradient the gradient of the loss in the layout of the
	// parameters, before anything is done to it.
	Logits, Gradient []float32
}

// Examine computes a step and changes nothing, whatever comes out. It takes a
// set that accumulates, which is the one that hands out its gradient.
func (t *Trainer) Examine(in Inputs, hyper []float32) (Examination, error) {
	if !t.manifest.Accumulate {
		return Examination{}, errors.New("the artifact set keeps its gradient to itself: build it with Accumulate")
	}
	before, steps := t.State(), t.step
	r, err := t.StepInputs(in, hyper, 0, 1)
	var nf *NonFiniteError
	if err != nil && !errors.As(err, &nf) {
		return Examination{}, err
	}
	e := Examination{Loss: r.Loss, GradientNorm: r.GradientNorm, Logits: slices.Clone(t.logits.Floats())}
	if nf != nil {
		e.Loss, e.GradientNorm = nf.Loss, nf.GradientNorm
	}
	// A step that was not finite has left its results in the other bank.
	made := t.front
	if nf != nil {
		made = 1 - t.front
	}
	e.Gradient = slices.Clone(t.banks[made].grads.Floats())
	t.step = steps
	return e, t.SetState(before)
}

package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/data/atomicfile"
	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// What a run does about a step whose loss or gradient is not finite, and what
// it can say about where that came from.

// NonFiniteFile is the report on such a step in a run folder.
const NonFiniteFile = "nonfinite.json"

// trouble is what such steps have led to so far; checkpoints keep it.
type trouble struct {
	Skipped   int `json:"skipped,omitempty"`
	Rollbacks int `json:"rollbacks,omitempty"`
	// Rate multiplies the learning rate; 0 means 1.
	Rate float64 `json:"rate,omitempty"`
}

func (t trouble) factor() float64 {
	if t.Rate == 0 {
		return 1
	}
	return t.Rate
}

// NonFiniteReport says where a step's numbers went wrong.
type NonFiniteReport struct {
	// Step is the number of the step in the run, from 0, LR its learning rate.
	Step int64   `json:"step"`
	LR   float64 `json:"lr"`
	// Loss and GradientNorm are written as JSON knows no infinities.
	Loss         string `json:"loss"`
	GradientNorm string `json:"gradient_norm"`
	// Images counts the values of the batch that are not finite, BadLogits the
	// images whose logits are not, of Batch.
	Images    int `json:"bad_image_values"`
	BadLogits int `json:"bad_logits"`
	Batch     int `json:"batch"`
	// Tensors are the parameters with their gradients, in the model's order.
	Tensors []TensorReport `json:"tensors"`
}

// TensorReport is about one parameter before the step: its largest magnitude
// and that of its gradient, among what is finite, and how many elements of
// either are not.
type TensorReport struct {
	Name         string  `json:"name"`
	Elements     int     `json:"elements"`
	Largest      float64 `json:"largest"`
	Bad          int     `json:"bad"`
	LargestGrad  float64 `json:"largest_gradient"`
	BadGradients int     `json:"bad_gradients"`
}

// explained is a NonFiniteError with what is known about it.
type explained struct {
	*runtime.NonFiniteError
	text string
}

func (d *explained) Error() string { return d.text }
func (d *explained) Unwrap() error { return d.NonFiniteError }

// explain completes the error of a run of steps, if it is a NonFiniteError, by a
// report on the step that it is about. The state is the one before the first of
// the steps, which inputs and hyper describe.
func (t *run) explain(err error, inputs []runtime.Inputs, hyper [][]float32) error {
	var nf *runtime.NonFiniteError
	if !errors.As(err, &nf) || nf.LossScale > 1 || t.recipe.NonFinite.Policy == recipe.SkipStep && t.trouble.Skipped > 0 {
		return err
	}
	r, failed := t.examine(nf, inputs, hyper)
	if failed != nil {
		return fmt.Errorf("%w (no report on it: %w)", err, failed)
	}
	path := filepath.Join(t.cfg.Out, NonFiniteFile)
	text, failed := json.MarshalIndent(r, "", "  ")
	if failed == nil {
		failed = atomicfile.Write(path, append(text, '\n'))
	}
	if failed != nil {
		return fmt.Errorf("%w (no report on it: %w)", err, failed)
	}
	return &explained{nf, fmt.Sprintf("%s; see %s", r, path)}
}

// examine takes the steps again, the last one with its gradient at hand.
func (t *run) examine(nf *runtime.NonFiniteError, inputs []runtime.Inputs, hyper [][]float32) (*NonFiniteReport, error) {
	spec := t.spec
	spec.Accumulate, spec.Loop, spec.Average, spec.Guard = true, false, false, false
	set, err := artifact.Build(spec)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ortrain-examine-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := set.Write(dir); err != nil {
		return nil, err
	}
	again, err := runtime.NewTrainer(dir, sessions(t.recipe))
	if err != nil {
		return nil, err
	}
	defer again.Close()
	if err := again.SetState(t.trainer.View()); err != nil {
		return nil, err
	}
	first, at := t.trainer.Steps(), int(nf.Step-t.trainer.Steps())
	again.SetSteps(first)
	for i := 0; ; i++ {
		values := map[string]float32{}
		for k, h := range t.trainer.Manifest().Hyper {
			if h.Name != artifact.AverageShare && h.Name != artifact.GradientWeight {
				values[h.Name] = hyper[i][k]
			}
		}
		row, err := again.Hyper(values)
		if err != nil {
			return nil, err
		}
		if i < at {
			if _, err := again.StepInputs(inputs[i], row, 0, 1); err != nil {
				return nil, err
			}
			continue
		}
		e, err := again.Examine(inputs[i], row)
		if err != nil {
			return nil, err
		}
		r := report(again.Manifest(), again.View().Params, e, inputs[i])
		r.Step, r.LR = nf.Step, t.rate(int(nf.Step))
		return r, nil
	}
}

func report(m *artifact.Manifest, params []float32, e runtime.Examination, in runtime.Inputs) *NonFiniteReport {
	r := &NonFiniteReport{Loss: fmt.Sprint(e.Loss), GradientNorm: fmt.Sprint(e.GradientNorm), Batch: m.Batch}
	_, r.Images = magnitude(in.Images)
	for i := range m.Batch {
		if _, bad := magnitude(part(e.Logits, i, m.Batch)); bad > 0 {
			r.BadLogits++
		}
	}
	for _, p := range m.Parameters {
		tr := TensorReport{Name: p.Name, Elements: p.Size}
		tr.Largest, tr.Bad = magnitude(params[p.Offset : p.Offset+p.Size])
		tr.LargestGrad, tr.BadGradients = magnitude(e.Gradient[p.Offset : p.Offset+p.Size])
		r.Tensors = append(r.Tensors, tr)
	}
	return r
}

// magnitude is the largest finite magnitude of v, and the number of elements
// that are not finite.
func magnitude(v []float32) (largest float64, bad int) {
	for _, x := range v {
		if a := math.Abs(float64(x)); math.IsNaN(a) || math.IsInf(a, 0) {
			bad++
		} else {
			largest = math.Max(largest, a)
		}
	}
	return largest, bad
}

// String is the report in one line.
func (r *NonFiniteReport) String() string {
	var bad []string
	worst, weights := TensorReport{}, TensorReport{}
	for _, p := range r.Tensors {
		if p.BadGradients > 0 {
			bad = append(bad, p.Name)
		} else if p.LargestGrad >= worst.LargestGrad {
			worst = p
		}
		if p.Largest >= weights.Largest {
			weights = p
		}
	}
	s := fmt.Sprintf("training diverged at step %d, learning rate %.4g: loss %s, gradient norm %s", r.Step, r.LR, r.Loss, r.GradientNorm)
	if r.Images > 0 {
		s += fmt.Sprintf("; %d values of the images are not finite: look at the data", r.Images)
	}
	if r.BadLogits > 0 {
		s += fmt.Sprintf("; the logits of %d of %d images are not finite", r.BadLogits, r.Batch)
	}
	if n := len(bad); n > 0 {
		s += fmt.Sprintf("; the gradients of %d of %d tensors are not finite: %s", n, len(r.Tensors), strings.Join(bad[:min(n, 3)], ", "))
		if n > 3 {
			s += ", …"
		}
	} else if worst.Name != "" {
		s += fmt.Sprintf("; the largest gradient is that of %s: %.3g", worst.Name, worst.LargestGrad)
	}
	s += fmt.Sprintf("; the largest weight is in %s: %.3g", weights.Name, weights.Largest)
	return s + "; lower the learning rate, lengthen the warm-up or clip the gradient (gradient.clip_norm)"
}

func (t *run) noteSkipped(nf *runtime.NonFiniteError) string {
	return fmt.Sprintf("step %d skipped, number %d of at most %d: loss %v, gradient norm %v",
		nf.Step, t.trouble.Skipped, t.recipe.NonFinite.Limit, nf.Loss, nf.GradientNorm)
}

// exhausted is the error of a policy that has come to its limit.
func (t *run) exhausted(err error, what string) error {
	return fmt.Errorf("non_finite.limit: %d %s, which is the limit: %w", t.recipe.NonFinite.Limit, what, err)
}

// fail saves the run before a step of an epoch that failed, and returns why it
// did.
func (t *run) fail(epoch int, err error) error {
	at := data.Position{Epoch: epoch, Batch: int(t.trainer.Steps()) - epoch*t.perEpoch}
	err = fmt.Errorf("epoch %d, step %d: %w", epoch+1, at.Batch+1, err)
	if at == t.start || t.returns(err) {
		return err
	}
	return errors.Join(err, t.checkpoint(at))
}

// returns tells whether an error is one after which the run returns to the last
// checkpoint, so that none must be written now.
func (t *run) returns(err error) bool {
	return t.recipe.NonFinite.Policy == recipe.RollBack && errors.Is(err, runtime.ErrNonFinite)
}

// rollBack returns to the newest checkpoint with a lower learning rate, if the
// error is of a step that was not finite and the recipe wants that.
func (t *run) rollBack(err error) error {
	policy := t.recipe.NonFinite
	if !t.returns(err) {
		return err
	}
	now := t.trouble
	if now.Rollbacks++; now.Rollbacks > policy.Limit {
		return t.exhausted(err, "returns to a checkpoint")
	}
	now.Rate = now.factor() * policy.Factor
	saved, failed := runtime.ReadCheckpoint(filepath.Join(t.cfg.Out, CheckpointFile), t.trainer.Manifest())
	if failed == nil {
		failed = t.restore(saved)
	}
	if failed == nil {
		failed = t.openLog()
	}
	if failed != nil {
		return errors.Join(err, fmt.Errorf("cannot return to the last checkpoint: %w", failed))
	}
	t.trouble = now
	t.cfg.Reporter.Note(err.Error())
	t.cfg.Reporter.Note(fmt.Sprintf("back to epoch %d, step %d with %.3g of the learning rate, return %d of at most %d",
		t.start.Epoch+1, t.start.Batch+1, now.Rate, now.Rollbacks, policy.Limit))
	return nil
}

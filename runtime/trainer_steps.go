package runtime

import (
	"errors"
	"fmt"

	"github.com/ortrain/ortrain/graphs/artifact"
)

// window is the memory of a run over several steps, apart from the state.
type window struct {
	steps              *Tensor
	hyper              []*Tensor // steps elements each
	noise              *Tensor   // nil for networks that draw nothing
	loss, norm, logits *Tensor
}

// stacked is a shape with a first dimension of n.
func stacked(n int, shape []int64) []int64 { return append([]int64{int64(n)}, shape...) }

// window returns the memory of runs over n steps.
func (t *Trainer) window(n int) (*window, error) {
	if w := t.windows[n]; w != nil {
		return w, nil
	}
	var mk maker
	w := &window{loss: mk.tensor(int64(n)), norm: mk.tensor(int64(n)), logits: mk.tensor(stacked(n, t.targetsShape)...)}
	for range t.manifest.Hyper {
		w.hyper = append(w.hyper, mk.tensor(int64(n)))
	}
	if count := t.manifest.NoiseCount(); count > 0 {
		w.noise = mk.tensor(int64(n), int64(count))
	}
	if mk.err == nil {
		w.steps, mk.err = WrapInts([]int64{int64(n)}, 1)
	}
	if mk.err != nil {
		w.close()
		return nil, mk.err
	}
	t.windows[n] = w
	return w, nil
}

func (w *window) close() {
	for _, x := range append(w.hyper, w.steps, w.noise, w.loss, w.norm, w.logits) {
		x.Close()
	}
}

// bindWindow lists the tensors of a run over several steps in the order of the
// session's ports.
func (t *Trainer) bindWindow(w *window, b *bank, images, targets, teacher *Tensor) (inputs, outputs []*Tensor, err error) {
	in := map[string]*Tensor{artifact.Steps: w.steps, artifact.Images: images, artifact.Targets: targets}
	out := map[string]*Tensor{artifact.Loss: w.loss, artifact.GradientNorm: w.norm, artifact.Logits: w.logits}
	t.bindState(in, out, b)
	if teacher != nil {
		in[artifact.Teacher] = teacher
	}
	if w.noise != nil {
		in[artifact.Noise] = w.noise
	}
	for k, h := range t.manifest.Hyper {
		in[h.Name] = w.hyper[k]
	}
	if inputs, err = t.session.bind("input", t.session.inputs, in); err != nil {
		return nil, nil, err
	}
	outputs, err = t.session.bind("output", t.session.outputs, out)
	return inputs, outputs, err
}

// checkWindow finds out whether the session has the ports that the manifest
// tells of.
func (t *Trainer) checkWindow() error {
	w, err := t.window(1)
	if err != nil {
		return err
	}
	images, err := t.blankImages(stacked(1, t.imagesShape))
	if err != nil {
		return err
	}
	defer images.Close()
	targets, err := NewTensor(stacked(1, t.targetsShape)...)
	if err != nil {
		return err
	}
	defer targets.Close()
	var teacher *Tensor
	if t.teacherAt >= 0 {
		teacher = targets // of the same shape
	}
	_, _, err = t.bindWindow(w, &t.banks[0], images, targets, teacher)
	return err
}

// StepMany takes n steps in one run of a set with a Loop, with the results of n
// calls of StepInputs: in holds the steps' batches one behind the other, hyper
// their scalars, n rows in the manifest's order. The slices are only read, and
// only until it returns; the results' logits are the trainer's memory,
// overwritten by the next run over as many steps.
//
// On an error, also a NonFiniteError, which names the first step it is about,
// the state is the one before all steps. A set that guards its state skips
// such steps instead.
func (t *Trainer) StepMany(in Inputs, hyper []float32, n int) ([]StepResult, error) {
	m := t.manifest
	switch {
	case n < 1:
		return nil, fmt.Errorf("%d steps in a run; it takes at least 1", n)
	case !m.Loop:
		return nil, errors.New("the artifact set takes one step in a run: build it with Loop")
	case t.session.native == nil:
		return nil, errors.New("the trainer is closed")
	case len(hyper) != n*len(m.Hyper):
		return nil, fmt.Errorf("%d hyper-parameters given; %d steps take %d each", len(hyper), n, len(m.Hyper))
	case t.teacherAt < 0 && in.Teacher != nil:
		return nil, errors.New("the artifact set has no teacher: build it with Distillation")
	}
	w, err := t.window(n)
	if err != nil {
		return nil, err
	}
	for k := range m.Hyper {
		column := w.hyper[k].Floats()
		for i := range n {
			column[i] = hyper[i*len(m.Hyper)+k]
		}
	}
	if w.noise != nil {
		count := m.NoiseCount()
		for i := range n {
			m.FillNoise(w.noise.Floats()[i*count:(i+1)*count], t.seed, t.step+int64(i))
		}
	}
	x, err := t.wrapImages(in, stacked(n, t.imagesShape))
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	defer x.Close()
	y, err := WrapTensor(in.Targets, stacked(n, t.targetsShape)...)
	if err != nil {
		return nil, fmt.Errorf("targets: %w", err)
	}
	defer y.Close()
	var teacher *Tensor
	if t.teacherAt >= 0 {
		if teacher, err = WrapTensor(in.Teacher, stacked(n, t.targetsShape)...); err != nil {
			return nil, fmt.Errorf("the teacher's logits, which this step needs: %w", err)
		}
		defer teacher.Close()
	}
	inputs, outputs, err := t.bindWindow(w, &t.banks[t.front], x, y, teacher)
	if err != nil {
		return nil, err
	}
	if err := t.session.run(inputs, outputs); err != nil {
		return nil, err
	}
	results := make([]StepResult, n)
	size := len(w.logits.Floats()) / n
	for i := range results {
		results[i] = StepResult{Loss: w.loss.Floats()[i], GradientNorm: w.norm.Floats()[i], Logits: w.logits.Floats()[i*size : (i+1)*size]}
	}
	if err := t.judge(results); err != nil {
		return nil, err
	}
	t.front = 1 - t.front
	t.step += int64(n)
	return results, nil
}

// Average returns the average of the parameters and of the running statistics
// that move, which a set with an average keeps: the trainer's memory, which
// the second run from now overwrites. Both are nil for other sets.
func (t *Trainer) Average() (params, stats []float32) {
	b := &t.banks[t.front]
	if b.average != nil {
		params = b.average.Floats()
	}
	if b.averageStats != nil {
		stats = b.averageStats.Floats()
	}
	return params, stats
}

// SetAverage copies an average into the trainer of a set that keeps one.
func (t *Trainer) SetAverage(params, stats []float32) error {
	p, s := t.Average()
	if len(params) != len(p) || len(stats) != len(s) {
		return fmt.Errorf("the average has %d parameters and %d statistics, this set keeps %d and %d", len(params), len(stats), len(p), len(s))
	}
	copy(p, params)
	copy(s, stats)
	return nil
}

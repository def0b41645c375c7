package runtime

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/artifact"
)

// allocate makes every tensor that outlives a step and binds it by name.
func (t *Trainer) allocate() error {
	m := t.manifest
	in := m.Model.Input
	t.imagesShape = []int64{int64(m.Batch), int64(in[0]), int64(in[1]), int64(in[2])}
	t.targetsShape = []int64{int64(m.Batch), int64(m.Model.Classes)}
	var mk maker
	params, stats := int64(m.ParamCount()), int64(m.StatCount())
	for i := range t.banks {
		b := &t.banks[i]
		b.params = mk.tensor(params)
		for range m.Slots {
			b.slots = append(b.slots, mk.tensor(params))
		}
		if stats > 0 {
			b.stats = mk.tensor(stats)
		}
		if m.Accumulate {
			b.grads = mk.tensor(params)
		}
		if m.Precision != nil {
			b.lossScale = mk.tensor(int64(len(m.Precision.First())))
		}
		if m.Average {
			b.average = mk.tensor(params)
			if n := m.MovingCount(); n > 0 {
				b.averageStats = mk.tensor(int64(n))
			}
		}
	}
	if m.Loop {
		if mk.err != nil {
			return mk.err
		}
		t.teacherAt = indexOf(t.session.inputs, artifact.Teacher)
		return t.checkWindow()
	}
	if n := m.NoiseCount(); n > 0 {
		t.noise = mk.tensor(int64(n))
	}
	t.logits = mk.tensor(t.targetsShape...)
	t.loss, t.norm = mk.scalar(0), mk.scalar(0)
	t.weightAt = slices.IndexFunc(m.Hyper, func(h artifact.HyperInfo) bool { return h.Name == artifact.GradientWeight })
	for _, h := range m.Hyper {
		t.hyper = append(t.hyper, mk.scalar(h.Default))
	}
	if mk.err != nil {
		return mk.err
	}
	return t.bindBanks()
}

// bindBanks lists each bank's tensors in the order of the session's ports.
func (t *Trainer) bindBanks() error {
	// Stand-ins give the per-step inputs a type and shape to check.
	images, err := t.blankImages(t.imagesShape)
	if err != nil {
		return err
	}
	defer images.Close()
	targets, err := NewTensor(t.targetsShape...)
	if err != nil {
		return err
	}
	defer targets.Close()
	t.imagesAt = indexOf(t.session.inputs, artifact.Images)
	t.targetsAt = indexOf(t.session.inputs, artifact.Targets)
	t.teacherAt = indexOf(t.session.inputs, artifact.Teacher)
	for i := range t.banks {
		from := &t.banks[i]
		in := map[string]*Tensor{artifact.Images: images, artifact.Targets: targets}
		out := map[string]*Tensor{artifact.Loss: t.loss, artifact.GradientNorm: t.norm, artifact.Logits: t.logits}
		t.bindState(in, out, from)
		if t.teacherAt >= 0 {
			in[artifact.Teacher] = targets // of the same shape
		}
		if t.noise != nil {
			in[artifact.Noise] = t.noise
		}
		for k, h := range t.manifest.Hyper {
			in[h.Name] = t.hyper[k]
		}
		if from.inputs, err = t.session.bind("input", t.session.inputs, in); err != nil {
			return err
		}
		if from.outputs, err = t.session.bind("output", t.session.outputs, out); err != nil {
			return err
		}
	}
	return nil
}

// bindState adds the state that a run reads from a bank and writes to the
// other.
func (t *Trainer) bindState(in, out map[string]*Tensor, from *bank) {
	to := &t.banks[0]
	if from == to {
		to = &t.banks[1]
	}
	bind := func(name string, from, to *Tensor) {
		if from != nil {
			in[name], out[name+artifact.OutSuffix] = from, to
		}
	}
	bind(artifact.Params, from.params, to.params)
	for k, s := range t.manifest.Slots {
		bind(s.Name, from.slots[k], to.slots[k])
	}
	bind(artifact.Stats, from.stats, to.stats)
	bind(artifact.Gradients, from.grads, to.grads)
	bind(artifact.LossScale, from.lossScale, to.lossScale)
	bind(artifact.AverageParams, from.average, to.average)
	bind(artifact.AverageStats, from.averageStats, to.averageStats)
}

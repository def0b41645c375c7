package runtime

import (
	"fmt"
	"slices"

	"github.com/ortrain/ortrain/graphs/artifact"
)

// View returns the state without copying it: the trainer's memory, which the
// second step from now overwrites. It is there to be read (to evaluate, save,
// average); SetState changes it.
func (t *Trainer) View() *artifact.State {
	b := &t.banks[t.front]
	s := &artifact.State{Params: b.params.Floats()}
	for _, x := range b.slots {
		s.Slots = append(s.Slots, x.Floats())
	}
	if b.stats != nil {
		s.Stats = b.stats.Floats()
	}
	if b.lossScale != nil {
		s.LossScale = b.lossScale.Floats()
	}
	return s
}

// State returns a copy of the state.
func (t *Trainer) State() *artifact.State {
	v := t.View()
	s := &artifact.State{Params: slices.Clone(v.Params), Stats: slices.Clone(v.Stats), LossScale: slices.Clone(v.LossScale)}
	for _, x := range v.Slots {
		s.Slots = append(s.Slots, slices.Clone(x))
	}
	return s
}

// SetState copies a state into the trainer. Lengths must be the manifest's. In
// mixed precision a state without a scale of the loss, that of a float32 run,
// gets the first one; without, a scale is not taken over.
func (t *Trainer) SetState(s *artifact.State) error {
	if err := checkState(t.manifest, s); err != nil {
		return err
	}
	v := t.View()
	copy(v.Params, s.Params)
	for i := range s.Slots {
		copy(v.Slots[i], s.Slots[i])
	}
	copy(v.Stats, s.Stats)
	if s.LossScale == nil {
		s = &artifact.State{LossScale: t.manifest.Precision.First()}
	}
	copy(v.LossScale, s.LossScale)
	return nil
}

// checkState compares a state's lengths with a manifest.
func checkState(m *artifact.Manifest, s *artifact.State) error {
	if len(s.Params) != m.ParamCount() || len(s.Stats) != m.StatCount() || len(s.Slots) != len(m.Slots) {
		return fmt.Errorf("the state has %d parameters, %d statistics and %d slots; %s with %s has %d, %d and %d",
			len(s.Params), len(s.Stats), len(s.Slots), m.Model.Name, m.Optimizer.Name, m.ParamCount(), m.StatCount(), len(m.Slots))
	}
	for i, x := range s.Slots {
		if len(x) != m.ParamCount() {
			return fmt.Errorf("slot %s has %d elements; it must have as many as the parameters, %d", m.Slots[i].Name, len(x), m.ParamCount())
		}
	}
	if want := len(m.Precision.First()); s.LossScale != nil && want > 0 && len(s.LossScale) != want {
		return fmt.Errorf("the state of the loss's scale has %d elements, must have %d", len(s.LossScale), want)
	}
	return nil
}

package artifact

import (
	"errors"

	"github.com/ortrain/ortrain/graphs/ir"
)

// What a set needs that takes several steps in one run: there is nobody in
// between who could look at the loss, or move an average along.

// repeated takes over what the specification says of it.
func (m *Manifest) repeated(s Spec) error {
	if s.Loop && s.Accumulate {
		return errors.New("artifact: a step that takes its batch in parts cannot be put into a loop of several steps")
	}
	m.Loop, m.Guard, m.Average = s.Loop, s.Guard, s.Average
	if m.Average {
		m.Hyper = append(m.Hyper, HyperInfo{AverageShare, 0})
	}
	return nil
}

// carried maps each input of a step that is state to its output.
func carried(g *ir.Graph) map[string]string {
	outputs := map[string]bool{}
	for _, o := range g.Outputs {
		outputs[o.Name] = true
	}
	state := map[string]string{}
	for _, v := range g.Inputs {
		if out := v.Name + OutSuffix; outputs[out] {
			state[v.Name] = out
		}
	}
	return state
}

// keeper returns what chooses between the next value of a piece of state and
// the previous one: the next, unless the set guards its state, or is of mixed
// precision, and the step's loss or gradient is not finite.
func (m *Manifest) keeper(g *ir.Graph, loss, norm *ir.Value) func(next, previous *ir.Value) *ir.Value {
	if !m.Guard && m.Precision == nil {
		return func(next, _ *ir.Value) *ir.Value { return next }
	}
	// The sum of the magnitudes is finite if both are.
	measure := g.One("guard", ir.Binary{F: ir.Add}, g.One("guard.loss", ir.Unary{F: ir.Abs}, loss), norm)
	return func(next, previous *ir.Value) *ir.Value {
		return g.One("guard.kept", ir.KeepFinite{}, measure, next, previous)
	}
}

// average moves the average of a set that keeps one a share of the way to the
// new state: avg + share·(new − avg), as tricks/average does.
func (m *Manifest) average(g *ir.Graph, params, stats, share *ir.Value) {
	if !m.Average {
		return
	}
	towards := func(name string, state *ir.Value) {
		avg := g.Input(name, state.Type)
		way := g.One("average.way", ir.Binary{F: ir.Sub}, state, avg)
		part := g.One("average.part", ir.Binary{F: ir.Mul}, way, share)
		g.Output(name+OutSuffix, g.One("average.next", ir.Binary{F: ir.Add}, avg, part))
	}
	towards(AverageParams, params)
	n := m.MovingCount()
	switch {
	case n == 0:
	case n == m.StatCount():
		towards(AverageStats, stats)
	default:
		parts := g.Apply("average.stats", ir.Split{Parts: []ir.Shape{{n}, {m.StatCount() - n}}}, stats)
		towards(AverageStats, parts[0])
	}
}

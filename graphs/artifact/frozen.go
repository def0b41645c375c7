package artifact

import (
	"math"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

// What does not train lies behind the running statistics in the stats vector:
// it has no gradient, no slot, no update, and costs a step nothing but its
// copy. Layers that train at a rate of their own have their update scaled.

// freeze takes what is frozen out of a layout: parameters by name, and the
// statistics of norms that keep to them.
func (s Spec) freeze(l *nn.Layout) (frozen []nn.Tensor) {
	if s.Freeze == nil {
		return nil
	}
	fixed := s.fixedNorm()
	var kept []nn.Tensor
	for _, t := range l.Params {
		if s.Freeze(t.Name) {
			frozen = append(frozen, t)
		} else {
			kept = append(kept, t)
		}
	}
	fixedStats := map[string]bool{}
	for _, n := range l.Norms {
		if fixed != nil && fixed(n.Scale) {
			fixedStats[n.Mean], fixedStats[n.Variance] = true, true
		}
	}
	var moving, still []nn.Tensor
	for _, t := range l.Stats {
		if fixedStats[t.Name] {
			still = append(still, t)
		} else {
			moving = append(moving, t)
		}
	}
	l.Stats = moving
	l.Params = kept
	return append(still, frozen...)
}

// fixedNorm is nn.Builder's: norms whose scale is frozen, if they are to keep
// to their statistics.
func (s Spec) fixedNorm() func(scale string) bool {
	if !s.FreezeNorms {
		return nil
	}
	return s.Freeze
}

// moving cuts the frozen part off the stats vector and binds its tensors.
// Without one, kept is nil.
func (m *Manifest) moving(g *ir.Graph, stats *ir.Value, source nn.Values) (moving, kept *ir.Value) {
	n := m.MovingCount()
	if stats == nil || n == m.StatCount() {
		return stats, nil
	}
	kept = stats
	if n > 0 {
		parts := g.Apply("stats.parts", ir.Split{Parts: []ir.Shape{{n}, {m.StatCount() - n}}}, stats)
		moving, kept = parts[0], parts[1]
	}
	i := slices.IndexFunc(m.Statistics, func(t TensorInfo) bool { return t.Frozen })
	values, _ := unpack(g, kept, m.Statistics[i:])
	for name, v := range values {
		source[name] = v
	}
	return moving, kept
}

// nextStats is the stats vector after a step.
func (m *Manifest) nextStats(g *ir.Graph, moving, kept *ir.Value, ups []nn.StatUpdate) *ir.Value {
	n := len(m.Statistics)
	if kept != nil {
		n = slices.IndexFunc(m.Statistics, func(t TensorInfo) bool { return t.Frozen })
	}
	switch {
	case kept == nil:
		return updateStats(g, moving, m.Statistics, ups)
	case moving == nil:
		return kept
	}
	return g.One("stats.next", ir.Concat{}, updateStats(g, moving, m.Statistics[:n], ups), kept)
}

// scaleRates sets the rates of layers: decay to the power of the distance from
// the last one, counted in blocks.
func scaleRates(ts []TensorInfo, decay float64) {
	if decay == 0 || decay == 1 || len(ts) == 0 {
		return
	}
	var blocks []string
	for _, t := range ts {
		if b := block(t.Name); len(blocks) == 0 || blocks[len(blocks)-1] != b {
			if !slices.Contains(blocks, b) {
				blocks = append(blocks, b)
			}
		}
	}
	for i, t := range ts {
		distance := len(blocks) - 1 - slices.Index(blocks, block(t.Name))
		ts[i].RateScale = float32(math.Pow(decay, float64(distance)))
	}
}

// block is the part of a parameter's name that says where in the network it is:
// through its first run of numbers (layer1.0 of layer1.0.conv1.weight), else
// its first part (conv1 of conv1.weight).
func block(name string) string {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '/' })
	number := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	for i := range parts {
		if !number(parts[i]) {
			continue
		}
		for i < len(parts) && number(parts[i]) {
			i++
		}
		return strings.Join(parts[:i], ".")
	}
	if len(parts) == 0 {
		return name
	}
	return parts[0]
}

// atRates scales the step of each parameter by its rate.
func (m *Manifest) atRates(g *ir.Graph, before, after *ir.Value) *ir.Value {
	var runs ir.Runs
	for _, t := range m.Parameters {
		if t.RateScale == 0 {
			return after
		}
		if n := len(runs.Values); n > 0 && runs.Values[n-1] == t.RateScale {
			runs.Lengths[n-1] += t.Size
			continue
		}
		runs.Lengths, runs.Values = append(runs.Lengths, t.Size), append(runs.Values, t.RateScale)
	}
	step := g.One("rates.step", ir.Binary{F: ir.Sub}, after, before)
	scaled := g.One("rates.scaled", ir.Binary{F: ir.Mul}, step, g.One("rates", runs))
	return g.One("rates.params", ir.Binary{F: ir.Add}, before, scaled)
}

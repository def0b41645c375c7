package artifact

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/autodiff"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/nn"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/graphs/optimizer"
)

// step builds the training step: forward, loss, backward, update.
func (s Spec) step(m *Manifest, opt *optimizer.Optimizer) (*onnx.ModelProto, error) {
	g, err := s.stepGraph(m, opt)
	if err != nil {
		return nil, err
	}
	o := m.lowering(s.Lowering)
	o.Metadata = nil
	o.Producer, o.Version = Producer, Version
	model, err := lower.Lower(g, o)
	if err != nil || !m.Loop {
		return model, err
	}
	return lower.Repeat(model, carried(g), Steps)
}

// StepGraph builds the graph of the training step without lowering it.
func StepGraph(s Spec) (*ir.Graph, error) {
	m, opt, err := s.manifest()
	if err != nil {
		return nil, err
	}
	return s.stepGraph(m, opt)
}

func (s Spec) stepGraph(m *Manifest, opt *optimizer.Optimizer) (*ir.Graph, error) {
	g := ir.New(m.Model.Name + "_step")
	images := m.stepImages(g)
	targets := g.Input(Targets, ir.F32(m.Batch, m.Model.Classes))
	params := g.Input(Params, ir.F32(m.ParamCount()))
	state := &optimizer.State{
		G: g, Params: params, Slots: map[string]*ir.Value{}, Hyper: map[string]*ir.Value{},
		Options: m.Optimizer.Options, Segments: segments(m.Parameters),
	}
	for _, slot := range m.Slots {
		state.Slots[slot.Name] = g.Input(slot.Name, ir.F32(m.ParamCount()))
	}
	var stats *ir.Value
	if m.StatCount() > 0 {
		stats = g.Input(Stats, ir.F32(m.StatCount()))
	}
	for _, h := range m.Hyper {
		state.Hyper[h.Name] = g.Input(h.Name, ir.F32())
	}

	source, parts := unpack(g, params, m.Parameters)
	for _, t := range m.Statistics {
		source[t.Name] = stats // training reads the batch's statistics only
	}
	moving, kept := m.moving(g, stats, source)
	if n := m.NoiseCount(); n > 0 {
		split := ir.Split{}
		for _, r := range m.Random {
			split.Parts = append(split.Parts, r.Shape)
		}
		for i, v := range g.Apply("noise.split", split, g.Input(Noise, ir.F32(n))) {
			source[m.Random[i].Name] = v
		}
	}
	b := &nn.Builder{G: g, Source: source, Training: true, FixedNorm: s.fixedNorm()}
	logits, err := m.network(b, images)
	if err != nil {
		return nil, err
	}
	loss := g.One(Loss, m.lossOp(), logits, targets)
	for _, a := range b.Auxiliary {
		part := g.One("loss.part", ir.Binary{F: ir.Mul}, g.Apply("loss.auxiliary", m.lossOp(), a.Logits, targets)[0], g.Scalar(a.Weight))
		loss = g.One("loss.sum", ir.Binary{F: ir.Add}, loss, part)
	}
	if m.Distillation != "" {
		loss = m.distil(g, loss, logits, state.Hyper)
	}
	scale := m.lossScale(g)
	grads, err := autodiff.Gradients(g, loss, scale.seed(), parts)
	if err != nil {
		return nil, err
	}
	if logits, grads, err = m.mixed(g, b, source, logits, grads); err != nil {
		return nil, err
	}
	state.Grads = scale.unscale(pack(g, "grads", grads))
	if m.Accumulate {
		sum := g.Input(Gradients, ir.F32(m.ParamCount()))
		part := g.One("grads.part", ir.Binary{F: ir.Mul}, state.Grads, state.Hyper[GradientWeight])
		state.Grads = g.One("grads.sum", ir.Binary{F: ir.Add}, sum, part)
		g.Output(Gradients+OutSuffix, state.Grads)
	}
	norm := g.One(GradientNorm, ir.Unary{F: ir.Sqrt}, g.One("grads.squares", ir.SumSquares{}, state.Grads))
	for _, name := range m.Optimizer.Gradient {
		t, _ := optimizer.LookupTransform(name) // the manifest holds known names
		state.Grads = t.Apply(state)
	}
	newParams, newSlots := opt.Update(state)
	keep := m.keeper(g, loss, norm)
	newParams = keep(m.atRates(g, params, newParams), params)

	g.Output(Params+OutSuffix, newParams)
	for _, slot := range m.Slots {
		g.Output(slot.Name+OutSuffix, keep(newSlots[slot.Name], state.Slots[slot.Name]))
	}
	var newStats *ir.Value
	if stats != nil {
		newStats = keep(m.nextStats(g, moving, kept, b.StatUpdates), stats)
		g.Output(Stats+OutSuffix, newStats)
	}
	scale.advance(keep)
	m.average(g, newParams, newStats, state.Hyper[AverageShare])
	g.Output(Loss, loss)
	g.Output(GradientNorm, norm)
	g.Output(Logits, logits)
	g.Prune()
	return g, nil
}

// segments tells the rule where each parameter lies.
func segments(ts []TensorInfo) []optimizer.Segment {
	out := make([]optimizer.Segment, len(ts))
	for i, t := range ts {
		out[i] = optimizer.Segment{Name: t.Name, Shape: t.Shape, Offset: t.Offset, Size: t.Size, Kind: t.Kind, Decay: t.Decay}
	}
	return out
}

// unpack cuts a flat vector into its tensors, by name and in order.
func unpack(g *ir.Graph, flat *ir.Value, ts []TensorInfo) (nn.Values, []*ir.Value) {
	shapes := make([]ir.Shape, len(ts))
	for i, t := range ts {
		shapes[i] = t.Shape
	}
	parts := g.Apply(flat.Name+".split", ir.Split{Parts: shapes}, flat)
	values := nn.Values{}
	for i, t := range ts {
		values[t.Name] = parts[i]
	}
	return values, parts
}

// pack flattens and joins values.
func pack(g *ir.Graph, name string, vs []*ir.Value) *ir.Value {
	flat := make([]*ir.Value, len(vs))
	for i, v := range vs {
		flat[i] = v
		if len(v.Shape) != 1 {
			flat[i] = g.One(v.Name+".flat", ir.ReshapeTo(ir.Shape{v.Shape.Size()}), v)
		}
	}
	return g.One(name, ir.Concat{}, flat...)
}

// updateStats moves the running statistics towards the batch's. Statistics
// that the network did not update in this graph would be lost, so each must
// have its update, in order.
func updateStats(g *ir.Graph, stats *ir.Value, ts []TensorInfo, ups []nn.StatUpdate) *ir.Value {
	if len(ups) != len(ts) {
		panic(fmt.Sprintf("artifact: %d statistics and %d updates", len(ts), len(ups)))
	}
	var runs ir.Runs
	batch := make([]*ir.Value, len(ups))
	for i, u := range ups {
		if u.Name != ts[i].Name {
			panic(fmt.Sprintf("artifact: update of %q where %q was declared", u.Name, ts[i].Name))
		}
		batch[i] = u.Batch
		runs.Lengths = append(runs.Lengths, ts[i].Size)
		runs.Values = append(runs.Values, StatMomentum*u.Scale)
	}
	add := func(a, b *ir.Value) *ir.Value { return g.One("stats.update", ir.Binary{F: ir.Add}, a, b) }
	mul := func(a, b *ir.Value) *ir.Value { return g.One("stats.update", ir.Binary{F: ir.Mul}, a, b) }
	fresh := mul(pack(g, "stats.batch", batch), g.One("stats.weight", runs))
	return add(mul(stats, g.Scalar(1-StatMomentum)), fresh)
}

package artifact

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/nn"
	"github.com/ortrain/ortrain/graphs/precision"
)

// Mixed precision: package precision says what computes in float16. Parameters,
// slots, statistics, the loss and the gradient vector stay float32.
//
// Small gradients vanish in float16, so the backward pass starts from the loss
// times a scale, and the gradient is divided by it once it is float32
// (Micikevicius et al. 2018, §3.2). A dynamic scale halves where that gradient
// overflows, which skips the step, and doubles after a number of steps that did
// not. It is state of the step, LossScale.

// The bounds of a dynamic scale and where it begins, as in PyTorch's GradScaler
// but for the bounds.
const (
	FirstLossScale = 1 << 16
	leastLossScale = 1
	mostLossScale  = 1 << 24
	// GrowthInterval is the usual number of good steps before the scale doubles.
	GrowthInterval = 2000
)

// Mixed asks for a step in mixed precision.
type Mixed struct {
	// LossScale is the first scale of the loss, at least 1.
	LossScale float32 `json:"loss_scale"`
	// Dynamic lets the scale change; otherwise a step whose gradient overflows is
	// skipped and nothing else.
	Dynamic bool `json:"dynamic,omitempty"`
	// GrowthInterval is after how many good steps in a row a dynamic scale
	// doubles.
	GrowthInterval int `json:"growth_interval,omitempty"`
}

// Check reports settings that make no sense; nil is fine.
func (p *Mixed) Check() error {
	if p == nil {
		return nil
	}
	if !(p.LossScale >= leastLossScale && p.LossScale <= mostLossScale) {
		return fmt.Errorf("artifact: the scale of the loss must lie between %d and %d, have %g", leastLossScale, mostLossScale, p.LossScale)
	}
	// Above 2²⁴ a count of steps in float32 stands still.
	if p.Dynamic && (p.GrowthInterval < 1 || p.GrowthInterval > 1<<24) {
		return fmt.Errorf("artifact: the growth interval of the loss scale must lie between 1 and %d steps, have %d", 1<<24, p.GrowthInterval)
	}
	return nil
}

// The elements of the LossScale vector.
const (
	scaleAt    = iota // the scale of the next step
	goodAt            // good steps since the scale last changed or a step was skipped
	skippedAt         // steps skipped in all
	scaleCount        // how many elements there are
)

// First returns the LossScale vector before the first step; nil without mixed
// precision.
func (p *Mixed) First() []float32 {
	if p == nil {
		return nil
	}
	return []float32{p.LossScale, 0, 0}
}

// NoLossScale returns a vector that leaves the loss as it is, for steps of which
// only the statistics count; nil without mixed precision.
func NoLossScale(m *Manifest) []float32 {
	v := m.Precision.First()
	if v != nil {
		v[scaleAt] = 1
	}
	return v
}

// Next returns the vector after a step whose gradient was finite or was not:
// what the graph computes.
func (p *Mixed) Next(state []float32, finite bool) []float32 {
	scale, good, skipped := state[scaleAt], state[goodAt]+1, state[skippedAt]
	switch {
	case !finite:
		good = 0
		skipped++
		if p.Dynamic {
			scale = max(scale/2, leastLossScale)
		}
	case p.Dynamic && good >= float32(p.GrowthInterval):
		scale, good = min(scale*2, mostLossScale), 0
	}
	return []float32{scale, good, skipped}
}

// Exhausted reports whether an overflow at this scale tells of a gradient that
// no other scale would save.
func (p *Mixed) Exhausted(state []float32) bool {
	return !p.Dynamic || state[scaleAt] <= leastLossScale
}

// ScaleOf and SkippedOf read a LossScale vector.
func ScaleOf(state []float32) float32 { return state[scaleAt] }

// SkippedOf returns how many steps have been skipped.
func SkippedOf(state []float32) int { return int(state[skippedAt]) }

// precision takes over what the specification says of it.
func (m *Manifest) precision(s Spec) error {
	m.Precision = s.Precision
	if m.Precision != nil && m.Lowering != lower.CUDA {
		m.Block, m.Kernels = 0, 0
	}
	return m.Precision.Check()
}

// lowering is what the step is lowered with: channel blocks and the CPU's kernel
// library know float32 only.
func (m *Manifest) lowering(o lower.Options) lower.Options {
	if m.Precision != nil && m.Lowering != lower.CUDA {
		o.Block, o.Kernels = 0, false
	}
	return o
}

// mixed puts what g computes so far into mixed precision, if that is asked for,
// and returns logits and gradients in float32. source are the parameters and
// random draws.
//
// Each weight is cast by itself, once. Casting the flat vector would save some
// sixty small nodes of ResNet-50, but it would have to be cut up twice, for the
// scales and shifts of norms stay float32: 18 bytes a parameter moved in place
// of 14.
func (m *Manifest) mixed(g *ir.Graph, b *nn.Builder, source nn.Values, logits *ir.Value, grads []*ir.Value) (*ir.Value, []*ir.Value, error) {
	if m.Precision == nil {
		return logits, grads, nil
	}
	free := slices.Collect(maps.Values(source))
	keep := append([]*ir.Value{logits}, grads...)
	for _, a := range b.Auxiliary {
		keep = append(keep, a.Logits)
	}
	keep, err := precision.Mixed(g, free, keep)
	if err != nil {
		return nil, nil, err
	}
	return keep[0], keep[1 : 1+len(grads)], nil
}

// lossScale are the parts of the LossScale vector in a step's graph. All is nil
// in float32, and all methods then change nothing.
type lossScale struct {
	g                    *ir.Graph
	p                    *Mixed
	scale, good, skipped *ir.Value
}

func (m *Manifest) lossScale(g *ir.Graph) *lossScale {
	if m.Precision == nil {
		return nil
	}
	parts := g.Apply("loss_scale.parts", ir.Split{Parts: make([]ir.Shape, scaleCount)}, g.Input(LossScale, ir.F32(scaleCount)))
	return &lossScale{g: g, p: m.Precision, scale: parts[scaleAt], good: parts[goodAt], skipped: parts[skippedAt]}
}

func (l *lossScale) do(f ir.BinaryKind, a, b *ir.Value) *ir.Value {
	return l.g.One("loss_scale", ir.Binary{F: f}, a, b)
}

// seed is the gradient of the scaled loss with respect to the loss; nil for 1.
func (l *lossScale) seed() *ir.Value {
	if l == nil {
		return nil
	}
	return l.scale
}

// unscale divides the gradient vector by the scale, in float32: exactly, unless
// the result is below 2⁻¹²⁶.
func (l *lossScale) unscale(grads *ir.Value) *ir.Value {
	if l == nil {
		return grads
	}
	return l.do(ir.Mul, grads, l.do(ir.Div, l.g.Scalar(1), l.scale))
}

// advance writes the vector of the next step (see Mixed.Next); keep chooses its
// first argument where the gradient is finite.
func (l *lossScale) advance(keep func(next, previous *ir.Value) *ir.Value) {
	if l == nil {
		return
	}
	g, one := l.g, l.g.Scalar(1)
	vector := func(scale, good, skipped *ir.Value) *ir.Value {
		parts := []*ir.Value{scale, good, skipped}
		for i, v := range parts {
			parts[i] = g.One("loss_scale", ir.ReshapeTo(ir.Shape{1}), v)
		}
		return g.One("loss_scale.next", ir.Concat{}, parts...)
	}
	good := l.do(ir.Add, l.good, one)
	up, down := l.scale, l.scale
	if l.p.Dynamic {
		// 1 from the interval's last good step on, 0 before.
		past := l.do(ir.Sub, good, g.Scalar(float32(l.p.GrowthInterval)-0.5))
		grown := l.do(ir.Max, g.One("loss_scale.grown", ir.Unary{F: ir.Sign}, past), g.Scalar(0))
		up = l.do(ir.Min, l.do(ir.Mul, l.scale, l.do(ir.Add, one, grown)), g.Scalar(mostLossScale))
		good = l.do(ir.Mul, good, l.do(ir.Sub, one, grown))
		down = l.do(ir.Max, l.do(ir.Mul, l.scale, g.Scalar(0.5)), g.Scalar(leastLossScale))
	}
	g.Output(LossScale+OutSuffix, keep(
		vector(up, good, l.skipped),
		vector(down, g.Scalar(0), l.do(ir.Add, l.skipped, one))))
}

package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// Kind classifies a parameter.
type Kind string

const (
	// Weight is a kernel of a convolution or a matrix.
	Weight Kind = ""
	// Norm is the scale or the shift of a norm; Bias any other bias.
	Norm Kind = "norm"
	Bias Kind = "bias"
)

// Segment is one parameter's place in the flat vectors. Offset and Size count
// elements.
type Segment struct {
	Name         string
	Shape        ir.Shape
	Offset, Size int
	Kind         Kind
	// Decay tells whether weight decay and L1 apply.
	Decay bool
}

// State is what a rule reads and writes while it emits an update.
type State struct {
	G *ir.Graph
	// Params, Grads and each of Slots are vectors [P].
	Params, Grads *ir.Value
	Slots         map[string]*ir.Value
	// Hyper holds the scalar inputs by name.
	Hyper map[string]*ir.Value
	// Segments tile the vectors without gaps, in order.
	Segments []Segment
	// Options are resolved.
	Options map[string]string

	mask *ir.Value
}

func (s *State) on(option string) bool { return s.Options[option] == "true" }

func (s *State) binary(f ir.BinaryKind, a, b *ir.Value) *ir.Value {
	return s.G.One("update", ir.Binary{F: f}, a, b)
}

func (s *State) unary(f ir.UnaryKind, x *ir.Value) *ir.Value {
	return s.G.One("update", ir.Unary{F: f}, x)
}

func (s *State) add(a, b *ir.Value) *ir.Value { return s.binary(ir.Add, a, b) }
func (s *State) sub(a, b *ir.Value) *ir.Value { return s.binary(ir.Sub, a, b) }
func (s *State) mul(a, b *ir.Value) *ir.Value { return s.binary(ir.Mul, a, b) }
func (s *State) div(a, b *ir.Value) *ir.Value { return s.binary(ir.Div, a, b) }
func (s *State) max(a, b *ir.Value) *ir.Value { return s.binary(ir.Max, a, b) }
func (s *State) min(a, b *ir.Value) *ir.Value { return s.binary(ir.Min, a, b) }
func (s *State) sqrt(x *ir.Value) *ir.Value   { return s.unary(ir.Sqrt, x) }

// oneMinus returns 1 − x.
func (s *State) oneMinus(x *ir.Value) *ir.Value { return s.sub(s.G.Scalar(1), x) }

// mean moves a running mean: share·old + (1 − share)·fresh.
func (s *State) mean(old, share, fresh *ir.Value) *ir.Value {
	return s.add(s.mul(old, share), s.mul(fresh, s.oneMinus(share)))
}

// decaying keeps x, a vector [P], where decay applies and clears it elsewhere.
func (s *State) decaying(x *ir.Value) *ir.Value {
	if s.mask == nil {
		mask := s.marks(func(g Segment) bool { return g.Decay })
		if len(mask.Values) == 1 && mask.Values[0] == 1 {
			return x
		}
		s.mask = s.G.One("decayed", mask)
	}
	return s.mul(x, s.mask)
}

// marks is a vector [P] of ones over the segments that are wanted and zeros
// over the others.
func (s *State) marks(want func(Segment) bool) ir.Runs {
	var runs ir.Runs
	for _, g := range s.Segments {
		v := float32(0)
		if want(g) {
			v = 1
		}
		if n := len(runs.Values); n > 0 && runs.Values[n-1] == v {
			runs.Lengths[n-1] += g.Size
			continue
		}
		runs.Lengths, runs.Values = append(runs.Lengths, g.Size), append(runs.Values, v)
	}
	return runs
}

// decayedGrads returns grads + weight_decay·params where decay applies: L2
// regularisation, coupled with the gradient as in PyTorch's SGD and Adam.
func (s *State) decayedGrads() *ir.Value {
	return s.add(s.Grads, s.mul(s.decaying(s.Params), s.Hyper[WeightDecay]))
}

// shrunk returns params·(1 − lr·weight_decay) where decay applies: decoupled
// decay (Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization").
func (s *State) shrunk() *ir.Value {
	share := s.mul(s.Hyper[LR], s.Hyper[WeightDecay])
	return s.sub(s.Params, s.mul(s.decaying(s.Params), share))
}

// correction returns 1 − β^t for the number t of the update: the sum of the
// weights of t gradients in a running mean that began at zero.
//
// It is computed as −expm1(−y) = 2u/(1 + u), u = tanh(y/2), y = −t·ln β,
// because in float32 1 − β^t cancels: for β = 0.999 the first steps would
// keep four digits.
func (s *State) correction(beta *ir.Value) *ir.Value {
	half := s.mul(s.Hyper[Step], s.G.Scalar(-0.5))
	u := s.unary(ir.Tanh, s.mul(half, s.unary(ir.Log, beta)))
	return s.div(s.add(u, u), s.add(u, s.G.Scalar(1)))
}

// last returns the index of the classifier's weight: the last parameter that
// is a matrix or a kernel; −1 if there is none.
func (s *State) last() int {
	for i := len(s.Segments) - 1; i >= 0; i-- {
		if len(s.Segments[i].Shape) > 1 {
			return i
		}
	}
	return -1
}

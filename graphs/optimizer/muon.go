package optimizer

import "github.com/ortrain/ortrain/graphs/ir"

// Muon: momentum whose matrices are orthogonalised, so that every direction of
// a layer moves by about the same amount. Kernels O×I×k×k count as matrices
// O×(I·k·k).
//
//	b ← momentum·b + (1 − momentum)·∇
//	u = momentum·b + (1 − momentum)·∇   (Nesterov, the default), else u = b
//	p ← p·(1 − lr·weight_decay) − lr·s·NewtonSchulz(u)
//
// The scale s of a matrix R×C is √max(1, R/C) (scale: original) or
// 0.2·√max(R, C) (scale: match_rms_adamw), with which rates tuned for AdamW
// fit. Everything that is not a matrix, and the classifier's matrix unless
// last_layer says muon, is updated by the auxiliary rule at the rate
// lr·aux_lr_ratio: AdamW, or SGD with the same momentum in PyTorch's form.
//
// Jordan 2024, "Muon: An optimizer for hidden layers in neural networks", and
// its code; match_rms_adamw: Liu et al. 2025, "Muon is Scalable for LLM
// Training", §2.2. As in PyTorch's Muon the kernels' scale is that of their
// matrix (Jordan's code computes it of the last two dimensions, k×k, which
// gives 1), and the iteration runs in float32, not bfloat16.
func init() {
	adamw := When{"auxiliary", "adamw"}
	when := func(h Hyper) Hyper { h.When = adamw; return h }
	Register(&Optimizer{
		Name:        "muon",
		Description: "orthogonalised momentum for matrices and kernels, AdamW or SGD for the rest",
		Source:      "Jordan 2024; Liu et al. 2025",
		Slots:       []Slot{{Name: "momentum_buffer"}, {Name: "exp_avg_sq", When: adamw}},
		Hyper: []Hyper{lr(0.02), momentum(0.95, "share of the velocity that is kept"), decay(0, decoupledHelp),
			{Name: "aux_lr_ratio", Default: 0.015, Help: "learning rate of the auxiliary rule, in lr", Bounds: Positive},
			when(beta1(0.9)), when(beta2(0.95)), when(epsilon(1e-10)), when(step())},
		Options: []Option{
			{"nesterov", []string{"true", "false"}, "look ahead along the velocity"},
			{"scale", []string{"original", "match_rms_adamw"}, "how the rate depends on a matrix's shape"},
			{"auxiliary", []string{"adamw", "sgd"}, "rule of what is not a matrix"},
			{"last_layer", []string{"auxiliary", "muon"}, "rule of the classifier's matrix"}},
		Update: muon,
	})
}

func muon(s *State) (*ir.Value, map[string]*ir.Value) {
	c := s.muonCut()
	var hidden, rest muonPart
	if c.matrices > 0 {
		hidden = s.muonHidden(c)
	}
	if c.matrices < len(c.parts) {
		rest = s.muonRest(c)
	}
	step := c.join(hidden.step, rest.step)
	slots := map[string]*ir.Value{"momentum_buffer": c.join(hidden.buffer, rest.buffer)}
	if old := s.Slots["exp_avg_sq"]; old != nil {
		// The matrices have no mean of squares: theirs stays as it is.
		keep, _ := c.cut(old)
		if len(rest.square) == 0 {
			slots["exp_avg_sq"] = old
		} else {
			slots["exp_avg_sq"] = c.join(keep, rest.square)
		}
	}
	// Decay goes with each rule's own rate.
	p := s.Params
	shrink := s.mul(s.decaying(p), s.Hyper[WeightDecay])
	keep, less := c.cut(shrink)
	for i, x := range less {
		less[i] = s.mul(x, s.Hyper["aux_lr_ratio"])
	}
	step = s.add(step, c.join(keep, less))
	return s.sub(p, s.mul(step, s.Hyper[LR])), slots
}

// muonPart are the results of one of the two rules, as flat pieces in the
// order of its parts of the cut.
type muonPart struct{ step, buffer, square []*ir.Value }

// muonCut divides the flat vectors among the two rules.
type muonCut struct {
	s        *State
	parts    []muonSpan
	matrices int
}

// muonSpan is one matrix, or a run of elements for the auxiliary rule.
type muonSpan struct {
	matrix        bool
	rows, columns int
}

func (s *State) muonCut() muonCut {
	c, last := muonCut{s: s}, -1
	if s.Options["last_layer"] == "auxiliary" {
		last = s.last()
	}
	for i, g := range s.Segments {
		if len(g.Shape) > 1 && i != last {
			c.parts = append(c.parts, muonSpan{true, g.Shape[0], g.Size / g.Shape[0]})
			c.matrices++
			continue
		}
		if n := len(c.parts); n > 0 && !c.parts[n-1].matrix {
			c.parts[n-1].columns += g.Size
			continue
		}
		c.parts = append(c.parts, muonSpan{false, 1, g.Size})
	}
	return c
}

// cut splits x [P] into the flat pieces of each rule.
func (c muonCut) cut(x *ir.Value) (matrices, rest []*ir.Value) {
	shapes := make([]ir.Shape, len(c.parts))
	for i, t := range c.parts {
		shapes[i] = ir.Shape{t.rows * t.columns}
	}
	for i, v := range c.s.G.Apply("muon.cut", ir.Split{Parts: shapes}, x) {
		if c.parts[i].matrix {
			matrices = append(matrices, v)
		} else {
			rest = append(rest, v)
		}
	}
	return matrices, rest
}

// split cuts a vector of one rule into that rule's flat pieces.
func (c muonCut) split(x *ir.Value, matrix bool) []*ir.Value {
	var shapes []ir.Shape
	for _, t := range c.parts {
		if t.matrix == matrix {
			shapes = append(shapes, ir.Shape{t.rows * t.columns})
		}
	}
	return c.s.G.Apply("muon.split", ir.Split{Parts: shapes}, x)
}

// join is the inverse of cut.
func (c muonCut) join(matrices, rest []*ir.Value) *ir.Value {
	var all []*ir.Value
	for _, t := range c.parts {
		if t.matrix {
			all, matrices = append(all, matrices[0]), matrices[1:]
		} else {
			all, rest = append(all, rest[0]), rest[1:]
		}
	}
	return c.s.G.One("muon.join", ir.Concat{}, all...)
}

func (c muonCut) concat(vs []*ir.Value) *ir.Value {
	return c.s.G.One("muon.concat", ir.Concat{}, vs...)
}

// muonHidden updates the matrices.
func (s *State) muonHidden(c muonCut) muonPart {
	grads, _ := c.cut(s.Grads)
	old, _ := c.cut(s.Slots["momentum_buffer"])
	g := c.concat(grads)
	b := s.mean(c.concat(old), s.Hyper[Momentum], g)
	u := b
	if s.on("nesterov") {
		u = s.mean(b, s.Hyper[Momentum], g)
	}
	var ms []matrix
	pieces := c.split(u, true)
	for _, t := range c.parts {
		if t.matrix {
			ms = append(ms, matrix{pieces[0], t.rows, t.columns, s.Options["scale"]})
			pieces = pieces[1:]
		}
	}
	return muonPart{step: s.orthogonalise(ms), buffer: c.split(b, true)}
}

// muonRest updates what is not a matrix; the steps are in units of lr.
func (s *State) muonRest(c muonCut) muonPart {
	_, grads := c.cut(s.Grads)
	_, old := c.cut(s.Slots["momentum_buffer"])
	g, ratio := c.concat(grads), s.Hyper["aux_lr_ratio"]
	if s.Options["auxiliary"] == "sgd" {
		b := s.add(s.mul(c.concat(old), s.Hyper[Momentum]), g)
		step := b
		if s.on("nesterov") {
			step = s.add(g, s.mul(b, s.Hyper[Momentum]))
		}
		return muonPart{step: c.split(s.mul(step, ratio), false), buffer: c.split(b, false)}
	}
	_, square := c.cut(s.Slots["exp_avg_sq"])
	sub := *s
	sub.Slots = map[string]*ir.Value{"exp_avg": c.concat(old), "exp_avg_sq": c.concat(square)}
	m := sub.moments(g, false)
	return muonPart{
		step:   c.split(s.mul(m.direction(), ratio), false),
		buffer: c.split(m.slots["exp_avg"], false),
		square: c.split(m.slots["exp_avg_sq"], false),
	}
}

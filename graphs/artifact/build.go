package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/ortrain/ortrain/graphs/autodiff"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/nn"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/graphs/optimizer"
)

// Producer is the name that written files carry; Version is set by the
// command's build.
const Producer = "ortrain"

// Version names the writer's version in artifacts and models.
var Version = "dev"

// StatMomentum is the weight of a batch in the running statistics: PyTorch's
// momentum 0.1, which papers write as 0.9.
const StatMomentum = 0.1

// Spec says what to build.
type Spec struct {
	// Model is a registered network; Config its classes, input and options.
	Model  string
	Config models.Config
	// Import, if set, is the network in place of a registered one; Model is
	// then the name that it goes by.
	Import *Import
	// Freeze tells by name which parameters stay as they are: they get no
	// gradient, no decay and no place in the optimizer's slots. nil freezes
	// none.
	Freeze func(name string) bool
	// FreezeNorms keeps batch norms whose scale is frozen to their running
	// statistics.
	FreezeNorms bool
	// LayerDecay, in (0,1), multiplies the learning rate of each layer by as
	// many factors as there are layers between it and the head; 0 is 1.
	LayerDecay float64
	// Optimizer is a registered update rule.
	Optimizer        string
	OptimizerOptions map[string]string
	// Gradient names the transforms that the gradient goes through before the
	// rule, in any order; nil for none.
	Gradient []string
	// ExcludeNormAndBias keeps weight decay away from biases and from the
	// scale and shift of norms.
	ExcludeNormAndBias bool
	// Batch is the static batch size of step.onnx.
	Batch int
	// Pixels has step.onnx take 8-bit images; nil normalised ones.
	Pixels *Pixels
	// Loss is SoftmaxLoss (also the meaning of "") or another of the losses.
	Loss string
	// Focal are the parameters of the focal losses.
	Focal Focal
	// Distillation adds a teacher's term to the loss: SoftCrossEntropy or
	// SoftDivergence; "" for none.
	Distillation string
	// Accumulate builds a step that sums gradients over several batches.
	Accumulate bool
	// Loop puts the step into an ONNX Loop, so that one run takes any number of
	// steps and the state stays on the device in between.
	Loop bool
	// Guard keeps the state as it is in a step whose loss or gradient is not
	// finite.
	Guard bool
	// Average moves an average of the parameters and running statistics along
	// with every step.
	Average bool
	// Precision asks for mixed precision; nil computes in float32.
	Precision *Mixed
	// Seed is the seed of the initial parameters.
	Seed uint64
	// Lowering chooses provider and forms; its Metadata goes to infer.onnx.
	Lowering lower.Options
}

// Set is a built artifact set, not yet written.
type Set struct {
	Manifest          *Manifest
	Step, Eval, Infer *onnx.ModelProto
	// Source is the file of an imported network, nil for the zoo's.
	Source []byte
}

// Build makes the three models and their manifest.
func Build(s Spec) (*Set, error) {
	m, opt, err := s.manifest()
	if err != nil {
		return nil, err
	}
	set := &Set{Manifest: m}
	if s.Import != nil {
		set.Source = s.Import.File
	}
	if set.Step, err = s.step(m, opt); err != nil {
		return nil, fmt.Errorf("artifact: step of %s: %w", m.Model.Name, err)
	}
	if set.Eval, err = m.eval(); err != nil {
		return nil, fmt.Errorf("artifact: evaluation of %s: %w", m.Model.Name, err)
	}
	initial := m.InitialState()
	if set.Infer, err = m.InferModel(initial.Params, initial.Stats, s.Lowering.Metadata); err != nil {
		return nil, err
	}
	return set, nil
}

// Manifest lays out the state of what the specification describes without
// building any graph of it.
func (s Spec) Manifest() (*Manifest, error) {
	m, _, err := s.manifest()
	return m, err
}

// manifest resolves the specification and lays out the state.
func (s Spec) manifest() (*Manifest, *optimizer.Optimizer, error) {
	model, err := s.Network()
	if err != nil {
		return nil, nil, err
	}
	cfg, err := model.Resolve(s.Config)
	if err != nil {
		return nil, nil, err
	}
	opt, ok := optimizer.Lookup(s.Optimizer)
	if !ok {
		return nil, nil, fmt.Errorf("artifact: unknown optimizer %q", s.Optimizer)
	}
	options, err := opt.Resolve(s.OptimizerOptions)
	if err != nil {
		return nil, nil, err
	}
	transforms, err := optimizer.OrderTransforms(s.Gradient)
	if err != nil {
		return nil, nil, err
	}
	if s.Batch < 1 {
		return nil, nil, fmt.Errorf("artifact: batch must be at least 1, have %d", s.Batch)
	}
	provider := s.Lowering.Provider
	if provider == "" {
		provider = "cpu"
	}
	m := &Manifest{
		Format: Format, Producer: Producer + " " + Version,
		Model:     ModelInfo{Name: s.Model, Options: cfg.Options, Classes: cfg.Classes, Input: cfg.Input},
		Optimizer: OptimizerInfo{Name: s.Optimizer, Options: options},
		Batch:     s.Batch, Lowering: provider, Opset: lower.Opset, Block: s.Lowering.Block, Seed: s.Seed,
	}
	if s.Lowering.Kernels {
		m.Kernels = lower.KernelVersion
	}
	if s.Import != nil {
		m.imported, m.Model.Source, m.Model.Head = model, SourceFile, s.Import.Head
		m.Model.SourceHash = digest(s.Import.File)
	}
	layout := model.Layout(cfg, s.Batch)
	frozen := s.freeze(&layout)
	for _, r := range layout.Random {
		m.Random = append(m.Random, RandomInfo{
			Name: r.Name, Shape: r.Shape, Offset: m.NoiseCount(), Size: r.Shape.Size(), Keep: r.Keep})
	}
	if len(layout.Params) == 0 {
		return nil, nil, fmt.Errorf("artifact: %s has no parameters to train: are all frozen?", s.Model)
	}
	m.Parameters = place(layout.Params)
	for i, t := range layout.Params {
		m.Parameters[i].Decay = !s.ExcludeNormAndBias || !t.Norm && !t.Bias
		switch {
		case t.Norm:
			m.Parameters[i].Kind = optimizer.Norm
		case t.Bias:
			m.Parameters[i].Kind = optimizer.Bias
		}
	}
	m.Statistics = place(append(layout.Stats, frozen...))
	for i := len(layout.Stats); i < len(m.Statistics); i++ {
		m.Statistics[i].Frozen = true
	}
	scaleRates(m.Parameters, s.LayerDecay)
	for _, slot := range opt.SlotsFor(options) {
		m.Slots = append(m.Slots, SlotInfo{slot.Name, slot.Init})
	}
	for _, h := range opt.HyperFor(options) {
		m.Hyper = append(m.Hyper, HyperInfo{h.Name, h.Default})
	}
	for _, t := range transforms {
		m.Optimizer.Gradient = append(m.Optimizer.Gradient, t.Name)
		for _, h := range t.Hyper {
			m.Hyper = append(m.Hyper, HyperInfo{h.Name, h.Default})
		}
	}
	if err := s.Pixels.check(cfg.Input[0]); err != nil {
		return nil, nil, err
	}
	m.Pixels = s.Pixels
	if err := m.hardLoss(s); err != nil {
		return nil, nil, err
	}
	if err := m.distillation(s.Distillation); err != nil {
		return nil, nil, err
	}
	if m.Accumulate = s.Accumulate; m.Accumulate {
		m.Hyper = append(m.Hyper, HyperInfo{GradientWeight, 1})
	}
	if err := m.repeated(s); err != nil {
		return nil, nil, err
	}
	if err := m.precision(s); err != nil {
		return nil, nil, err
	}
	g, err := m.forward()
	if err != nil {
		return nil, nil, err
	}
	m.Model.FLOPs = g.FLOPs()
	m.Hash = m.hash()
	return m, opt, nil
}

func place(ts []nn.Tensor) []TensorInfo {
	out := make([]TensorInfo, len(ts))
	offset := 0
	for i, t := range ts {
		out[i] = TensorInfo{Name: t.Name, Shape: t.Shape, Offset: offset, Size: t.Shape.Size(), Init: t.Init}
		offset += out[i].Size
	}
	return out
}

// hash covers what a checkpoint has to agree with.
func (m *Manifest) hash() string {
	type tensor struct {
		Name  string
		Shape []int
	}
	strip := func(ts []TensorInfo) []tensor {
		out := make([]tensor, len(ts))
		for i, t := range ts {
			out[i] = tensor{t.Name, t.Shape}
		}
		return out
	}
	b, err := json.Marshal(struct {
		Model         ModelInfo
		Optimizer     OptimizerInfo
		Params, Stats []tensor
		Slots         []SlotInfo
	}{m.Model, m.Optimizer, strip(m.Parameters), strip(m.Statistics), m.Slots})
	if err != nil {
		panic(err) // plain data always encodes
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// network appends the model's forward graph from x to logits.
func (m *Manifest) network(b *nn.Builder, x *ir.Value) (*ir.Value, error) {
	model, err := m.model()
	if err != nil {
		return nil, err
	}
	cfg, err := model.Resolve(models.Config{Classes: m.Model.Classes, Input: m.Model.Input, Options: m.Model.Options})
	if err != nil {
		return nil, err
	}
	return model.Forward(b, x, cfg), nil
}

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

// eval builds the evaluation graph, whose parameters are inputs.
func (m *Manifest) eval() (*onnx.ModelProto, error) {
	g, err := m.forward()
	if err != nil {
		return nil, err
	}
	return lower.Lower(g, lower.Options{Producer: Producer, Version: Version})
}

// forward builds the inference graph with flat state inputs.
func (m *Manifest) forward() (*ir.Graph, error) {
	g := ir.New(m.Model.Name + "_eval")
	x := m.images(g)
	values, _ := unpack(g, g.Input(Params, ir.F32(m.ParamCount())), m.Parameters)
	if m.StatCount() > 0 {
		stats, _ := unpack(g, g.Input(Stats, ir.F32(m.StatCount())), m.Statistics)
		for name, v := range stats {
			values[name] = v
		}
	}
	return g, m.finishInfer(g, x, values)
}

// images adds the dynamic-batch image input.
func (m *Manifest) images(g *ir.Graph) *ir.Value {
	in := m.Model.Input
	x := g.Input(Images, ir.F32(1, in[0], in[1], in[2]))
	g.DynamicBatch = true
	g.Batched[x] = true
	return x
}

func (m *Manifest) finishInfer(g *ir.Graph, x *ir.Value, values nn.Values) error {
	logits, err := m.network(&nn.Builder{G: g, Source: values}, x)
	if err != nil {
		return err
	}
	g.Batched[logits] = true
	g.Output(Logits, logits)
	return nil
}

// InferModel builds the deployment model: the parameters and statistics become
// initializers under their own names, the images are the only input. params
// and stats are flat vectors in the manifest's layout; metadata becomes the
// model's metadata properties.
func (m *Manifest) InferModel(params, stats []float32, metadata map[string]string) (*onnx.ModelProto, error) {
	if len(params) != m.ParamCount() || len(stats) != m.StatCount() {
		return nil, fmt.Errorf("artifact: state has %d parameters and %d statistics, %s has %d and %d",
			len(params), len(stats), m.Model.Name, m.ParamCount(), m.StatCount())
	}
	g := ir.New(m.Model.Name)
	x := m.images(g)
	values := nn.Values{}
	for _, t := range m.Parameters {
		values[t.Name] = g.Const(t.Name, t.Shape, params[t.Offset:t.Offset+t.Size])
	}
	for _, t := range m.Statistics {
		values[t.Name] = g.Const(t.Name, t.Shape, stats[t.Offset:t.Offset+t.Size])
	}
	if err := m.finishInfer(g, x, values); err != nil {
		return nil, fmt.Errorf("artifact: inference of %s: %w", m.Model.Name, err)
	}
	return lower.Lower(g, lower.Options{Producer: Producer, Version: Version, Metadata: metadata})
}

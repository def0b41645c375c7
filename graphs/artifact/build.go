package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

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
		m.Kernels = lower.KernelVersionFor(provider)
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

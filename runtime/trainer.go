package runtime

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/artifact"
)

// StepResult is what a step reports.
type StepResult struct {
	// Loss is the mean over the batch, before the update.
	Loss float32
	// GradientNorm is the Euclidean norm of the loss's gradient, before
	// anything is done to it; after a part of a step, of the sum so far.
	GradientNorm float32
	// Skipped tells that one of the two was not finite and the state was left
	// as it was, which sets that guard their state do, and those of mixed
	// precision where the scaled gradient overflows.
	Skipped bool
	// Overflow tells of a skipped step that it is one of those of mixed precision,
	// which a lower scale of the loss is to mend: nothing to worry about.
	Overflow bool
	// Logits is N×K in row-major order, before the update: the trainer's
	// memory, overwritten by the next step.
	Logits []float32
}

// Trainer runs the step of an artifact set and holds the state that it
// changes. It is not safe for concurrent use.
//
// There are two copies of every state vector. A step reads one and writes the
// other, then the two swap roles, so that nothing is copied.
type Trainer struct {
	manifest *artifact.Manifest
	session  *Session
	step     int64

	banks        [2]bank
	front        int // the bank that holds the state
	hyper        []*Tensor
	noise        *Tensor // nil for networks that draw nothing
	seed         uint64  // of the noise
	loss, logits *Tensor
	norm         *Tensor         // of the gradient
	before       []float32       // the statistics before a step of several parts
	windows      map[int]*window // of a set with a Loop, by the number of steps

	// Positions of the per-step tensors among the session's inputs.
	imagesAt, targetsAt int
	teacherAt           int // −1 for sets that do not distil
	weightAt            int // of the gradient's weight among the hyper-parameters, or −1
	imagesShape         []int64
	targetsShape        []int64
}

// bank is one copy of the state with the tensor lists of a run that reads it
// and writes the other bank.
type bank struct {
	params, stats *Tensor // stats is nil for models without statistics
	slots         []*Tensor
	grads         *Tensor // nil for sets that do not accumulate
	// average and averageStats are nil for sets that keep none.
	average, averageStats *Tensor
	lossScale             *Tensor // nil without mixed precision
	inputs                []*Tensor
	outputs               []*Tensor
}

// NewTrainer loads the step of the artifact set in dir, whose files are
// verified against the manifest, and fills the state with the manifest's
// initial values.
func NewTrainer(dir string, o Options) (*Trainer, error) {
	m, err := artifact.Read(dir)
	if err != nil {
		return nil, err
	}
	if have := ChannelBlock(); m.Block != 0 && m.Block != have {
		return nil, fmt.Errorf("%s is arranged for blocks of %d channels, ONNX Runtime on this machine has %d: build the artifacts here (resuming a run does)",
			filepath.Join(dir, artifact.StepFile), m.Block, have)
	}
	if m.Kernels != 0 {
		if o.Kernels, err = FindKernels(m.Lowering); err != nil {
			return nil, fmt.Errorf("%s needs the kernel library: %w; or build the artifacts anew without it (resuming a run does)",
				filepath.Join(dir, artifact.StepFile), err)
		}
	}
	session, err := NewSession(filepath.Join(dir, artifact.StepFile), o)
	if err != nil {
		return nil, err
	}
	t := &Trainer{manifest: m, session: session, seed: m.Seed, windows: map[int]*window{}}
	if err := t.allocate(); err != nil {
		t.Close()
		return nil, err
	}
	initial := m.InitialState()
	err = t.SetState(initial)
	if err == nil && m.Average {
		err = t.SetAverage(initial.Params, initial.Stats[:m.MovingCount()])
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	// Building and reading the artifacts leaves garbage several times the size
	// of the parameters: the step has better use for the memory.
	debug.FreeOSMemory()
	return t, nil
}

// Manifest describes the artifact set; the caller must not change it.
func (t *Trainer) Manifest() *artifact.Manifest { return t.manifest }

// Hyper returns the step's scalar inputs in the manifest's order: the values
// given, the defaults for the rest. A name the step does not have is an error.
func (t *Trainer) Hyper(values map[string]float32) ([]float32, error) {
	list := make([]float32, len(t.manifest.Hyper))
	known := 0
	for i, h := range t.manifest.Hyper {
		list[i] = h.Default
		if v, ok := values[h.Name]; ok {
			list[i] = v
			known++
		}
	}
	if known == len(values) {
		return list, nil
	}
	var names, unknown []string
	for _, h := range t.manifest.Hyper {
		names = append(names, h.Name)
	}
	for name := range values {
		if !slices.Contains(names, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return nil, fmt.Errorf("the step with optimizer %s has no hyper-parameter %s; it has %s",
		t.manifest.Optimizer.Name, strings.Join(unknown, ", "), strings.Join(names, ", "))
}

// Inputs are what a step trains on, N images being the manifest's batch. The
// slices are only read, and only until the step returns.
type Inputs struct {
	// Images is N×C×H×W, normalised; for sets without Pixels.
	Images []float32
	// Bytes is N×C×H×W of 8-bit values; for sets with Pixels.
	Bytes []uint8
	// Targets is N×K with rows that sum to one unless classes are weighted.
	Targets []float32
	// Teacher is N×K, the logits of the teacher; only for sets that distil.
	Teacher []float32
}

// Step trains on one batch: images is N×C×H×W, normalised, targets N×K with
// rows that sum to one unless classes are weighted, N the manifest's batch; hyper holds the scalar inputs
// in the manifest's order (see Hyper). The slices are only read, and only
// until Step returns.
//
// On an error, also a NonFiniteError, the state is the one before the step.
func (t *Trainer) Step(images, targets, hyper []float32) (StepResult, error) {
	return t.StepPart(images, targets, hyper, 0, 1)
}

// StepPart is a part of a step that takes a large batch in equal parts, number
// part of parts: call it for each in turn. The gradients add up to the mean
// over all parts, by which the last part updates; until then the parameters
// and slots stay. Norms see one part at a time, and the running statistics
// move with every part. More than one part takes a set that accumulates.
//
// On an error the state is that before part 0, with which the step starts again.
func (t *Trainer) StepPart(images, targets, hyper []float32, part, parts int) (StepResult, error) {
	return t.StepInputs(Inputs{Images: images, Targets: targets}, hyper, part, parts)
}

// StepInputs is StepPart for a set that may distil.
func (t *Trainer) StepInputs(in Inputs, hyper []float32, part, parts int) (StepResult, error) {
	if part < 0 || part >= parts {
		return StepResult{}, fmt.Errorf("part %d of %d", part, parts)
	}
	if parts > 1 && !t.manifest.Accumulate {
		return StepResult{}, errors.New("the artifact set does not accumulate gradients: build it with Accumulate")
	}
	if t.manifest.Loop && parts == 1 {
		results, err := t.StepMany(in, hyper, 1)
		if err != nil {
			return StepResult{}, err
		}
		return results[0], nil
	}
	if t.session.native == nil {
		return StepResult{}, errors.New("the trainer is closed")
	}
	if len(hyper) != len(t.hyper) {
		return StepResult{}, fmt.Errorf("%d hyper-parameters given; the step takes %d", len(hyper), len(t.hyper))
	}
	for i, v := range hyper {
		if err := t.hyper[i].SetScalar(v); err != nil {
			return StepResult{}, fmt.Errorf("hyper-parameter %s: %w", t.manifest.Hyper[i].Name, err)
		}
	}
	if t.weightAt >= 0 {
		if err := t.hyper[t.weightAt].SetScalar(1 / float32(parts)); err != nil {
			return StepResult{}, err
		}
	}
	if t.noise != nil {
		t.manifest.FillNoise(t.noise.Floats(), t.seed, t.step*int64(parts)+int64(part))
	}
	x, err := t.wrapImages(in, t.imagesShape)
	if err != nil {
		return StepResult{}, fmt.Errorf("images: %w", err)
	}
	defer x.Close()
	y, err := WrapTensor(in.Targets, t.targetsShape...)
	if err != nil {
		return StepResult{}, fmt.Errorf("targets: %w", err)
	}
	defer y.Close()
	b := &t.banks[t.front]
	if t.teacherAt >= 0 {
		r, err := WrapTensor(in.Teacher, t.targetsShape...)
		if err != nil {
			return StepResult{}, fmt.Errorf("the teacher's logits, which this step needs: %w", err)
		}
		defer r.Close()
		b.inputs[t.teacherAt] = r
	} else if in.Teacher != nil {
		return StepResult{}, errors.New("the artifact set has no teacher: build it with Distillation")
	}
	if part == 0 && b.grads != nil {
		clear(b.grads.Floats())
	}
	if part == 0 && parts > 1 && b.stats != nil {
		t.before = append(t.before[:0], b.stats.Floats()...)
	}
	b.inputs[t.imagesAt], b.inputs[t.targetsAt] = x, y
	err = t.session.run(b.inputs, b.outputs)
	result := []StepResult{{Loss: t.loss.Scalar(), GradientNorm: t.norm.Scalar(), Logits: t.logits.Floats()}}
	if err == nil {
		err = t.judge(result)
	}
	if err != nil {
		if part > 0 && b.stats != nil {
			copy(b.stats.Floats(), t.before)
		}
		return StepResult{}, err
	}
	t.front = 1 - t.front
	if part < parts-1 {
		// Take back the update by a part of the gradient.
		to := &t.banks[t.front]
		copy(to.params.Floats(), b.params.Floats())
		for i, s := range b.slots {
			copy(to.slots[i].Floats(), s.Floats())
		}
		if b.lossScale != nil {
			copy(to.lossScale.Floats(), b.lossScale.Floats())
		}
	} else {
		t.step++
	}
	return result[0], nil
}

// Steps returns the number of steps taken: the global number of the next one.
func (t *Trainer) Steps() int64 { return t.step }

// SetSteps sets the global step number, for a resumed run.
func (t *Trainer) SetSteps(n int64) { t.step = n }

// Close frees the session and the native handles. State that was viewed stays
// readable. Closing twice is harmless.
func (t *Trainer) Close() error {
	for i := range t.banks {
		b := &t.banks[i]
		b.params.Close()
		b.stats.Close()
		b.grads.Close()
		b.average.Close()
		b.averageStats.Close()
		b.lossScale.Close()
		for _, s := range b.slots {
			s.Close()
		}
	}
	for _, h := range t.hyper {
		h.Close()
	}
	for _, w := range t.windows {
		w.close()
	}
	t.noise.Close()
	t.loss.Close()
	t.norm.Close()
	t.logits.Close()
	return t.session.Close()
}

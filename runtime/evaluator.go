package runtime

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Batch is a number of images.
type Batch struct {
	// Images is N×C×H×W, normalised.
	Images []float32
	// Bytes, in place of Images, is N×C×H×W of 8-bit values, for an evaluator
	// that takes them.
	Bytes []uint8
	// Labels are N class indices, where the images are scored.
	Labels []int
}

// Evaluator runs the evaluation of an artifact set, whose batch is free. It
// may be used in several goroutines at a time.
type Evaluator struct {
	manifest *artifact.Manifest
	session  *Session
}

// NewEvaluator loads the evaluation graph of the artifact set in dir, whose
// files are verified against the manifest.
func NewEvaluator(dir string, o Options) (*Evaluator, error) {
	return NewByteEvaluator(dir, nil, o)
}

// NewByteEvaluator is NewEvaluator for 8-bit images, which the graph normalises
// as p says, to the same numbers as anyone who does so beforehand; nil is for
// normalised ones.
func NewByteEvaluator(dir string, p *artifact.Pixels, o Options) (*Evaluator, error) {
	m, err := artifact.Read(dir)
	if err != nil {
		return nil, err
	}
	open, path := NewSession, filepath.Join(dir, artifact.EvalFile)
	if p != nil {
		open = func(path string, o Options) (*Session, error) { return normalising(path, p, o) }
	}
	session, err := open(path, o)
	if err != nil {
		return nil, err
	}
	return &Evaluator{manifest: m, session: session}, nil
}

// normalising loads a model behind the normalisation of its images.
func normalising(path string, p *artifact.Pixels, o Options) (*Session, error) {
	model, err := onnx.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := p.Before(model); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b, err := onnx.Marshal(model)
	if err != nil {
		return nil, err
	}
	return NewSessionFromBytes(path, b, o)
}

// TakesBytes tells that images are given as 8-bit values.
func (e *Evaluator) TakesBytes() bool {
	return e.session.inputs[indexOf(e.session.inputs, artifact.Images)].Type == Uint8
}

// Evaluate scores the batches with the given parameters and running
// statistics, which must not change until it returns. A batch is read until
// the next one is asked for, so its memory may be reused. It stops at the
// first error, which may be the sequence's own.
func (e *Evaluator) Evaluate(state *artifact.State, batches iter.Seq2[Batch, error]) (Score, error) {
	f, release, err := e.with(state)
	if err != nil {
		return Score{}, err
	}
	defer release()
	return score(f.run, batches)
}

// Logits answers for the n images of a batch, whose labels are not looked at,
// with n×K logits in memory of the caller's own. It ends early, with the
// context's error, when the context is done; on a device before the next run.
func (e *Evaluator) Logits(ctx context.Context, state *artifact.State, b Batch, n int) ([]float32, error) {
	f, release, err := e.with(state)
	if err != nil {
		return nil, err
	}
	defer release()
	return f.runContext(ctx, b, n)
}

// Each is Evaluate for those who want to look at the n×K logits of each batch
// themselves. They are valid until look returns; an error of its ends the
// evaluation.
func (e *Evaluator) Each(state *artifact.State, batches iter.Seq2[Batch, error], look func(logits []float32, labels []int) error) error {
	f, release, err := e.with(state)
	if err != nil {
		return err
	}
	defer release()
	return each(f.run, batches, look)
}

// with prepares the network with a state, until release. On a device the state
// is brought there at once, for all of the runs.
func (e *Evaluator) with(state *artifact.State) (f *forward, release func(), err error) {
	m := e.manifest
	if len(state.Params) != m.ParamCount() || len(state.Stats) != m.StatCount() {
		return nil, nil, fmt.Errorf("the state has %d parameters and %d statistics; %s has %d and %d",
			len(state.Params), len(state.Stats), m.Model.Name, m.ParamCount(), m.StatCount())
	}
	fixed := map[string]*Tensor{}
	var bound *binding
	release = func() {
		bound.close()
		for _, t := range fixed {
			t.Close()
		}
	}
	if fixed[artifact.Params], err = WrapTensor(state.Params, int64(len(state.Params))); err != nil {
		return nil, nil, fmt.Errorf("parameters: %w", err)
	}
	if len(state.Stats) > 0 {
		if fixed[artifact.Stats], err = WrapTensor(state.Stats, int64(len(state.Stats))); err != nil {
			release()
			return nil, nil, fmt.Errorf("statistics: %w", err)
		}
	}
	if e.session.device {
		if bound, err = e.session.bindInputs(fixed); err != nil {
			release()
			return nil, nil, err
		}
	}
	return &forward{session: e.session, images: Port{Name: artifact.Images, Type: Float32}, logits: Port{Name: artifact.Logits, Type: Float32},
		image: m.Model.Input, classes: m.Model.Classes, fixed: fixed, bound: bound}, release, nil
}

// Close frees the session. Closing twice is harmless.
func (e *Evaluator) Close() error { return e.session.Close() }

// score runs every batch and adds up the scores; run returns n×K logits, which
// are read before the next call.
func score(run func(Batch) ([]float32, error), batches iter.Seq2[Batch, error]) (Score, error) {
	var total Score
	err := each(run, batches, total.Add)
	return total, err
}

// each runs every batch and hands its logits on.
func each(run func(Batch) ([]float32, error), batches iter.Seq2[Batch, error], look func(logits []float32, labels []int) error) error {
	for b, err := range batches {
		if err != nil {
			return err
		}
		if len(b.Labels) == 0 {
			continue
		}
		out, err := run(b)
		if err != nil {
			return err
		}
		if err := look(out, b.Labels); err != nil {
			return err
		}
	}
	return nil
}

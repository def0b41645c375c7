package runtime

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"

	"github.com/ortrain/ortrain/graphs/artifact"
)

// Batch is a number of labelled images.
type Batch struct {
	// Images is N×C×H×W, normalised; Labels are N class indices.
	Images []float32
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
	m, err := artifact.Read(dir)
	if err != nil {
		return nil, err
	}
	session, err := NewSession(filepath.Join(dir, artifact.EvalFile), o)
	if err != nil {
		return nil, err
	}
	return &Evaluator{manifest: m, session: session}, nil
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

// Logits answers for n images, given as n×C×H×W and normalised, with n×K logits
// in memory of the caller's own. It ends early, with the context's error, when
// the context is done.
func (e *Evaluator) Logits(ctx context.Context, state *artifact.State, images []float32, n int) ([]float32, error) {
	f, release, err := e.with(state)
	if err != nil {
		return nil, err
	}
	defer release()
	return f.runContext(ctx, images, n)
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

// with prepares the network with a state, until release.
func (e *Evaluator) with(state *artifact.State) (f *forward, release func(), err error) {
	m := e.manifest
	if len(state.Params) != m.ParamCount() || len(state.Stats) != m.StatCount() {
		return nil, nil, fmt.Errorf("the state has %d parameters and %d statistics; %s has %d and %d",
			len(state.Params), len(state.Stats), m.Model.Name, m.ParamCount(), m.StatCount())
	}
	fixed := map[string]*Tensor{}
	release = func() {
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
	return &forward{session: e.session, images: Port{Name: artifact.Images, Type: Float32}, logits: Port{Name: artifact.Logits, Type: Float32},
		image: m.Model.Input, classes: m.Model.Classes, fixed: fixed}, release, nil
}

// Close frees the session. Closing twice is harmless.
func (e *Evaluator) Close() error { return e.session.Close() }

// score runs every batch and adds up the scores; run returns n×K logits, which
// are read before the next call.
func score(run func(images []float32, n int) ([]float32, error), batches iter.Seq2[Batch, error]) (Score, error) {
	var total Score
	err := each(run, batches, total.Add)
	return total, err
}

// each runs every batch and hands its logits on.
func each(run func(images []float32, n int) ([]float32, error), batches iter.Seq2[Batch, error], look func(logits []float32, labels []int) error) error {
	for b, err := range batches {
		if err != nil {
			return err
		}
		if len(b.Labels) == 0 {
			continue
		}
		out, err := run(b.Images, len(b.Labels))
		if err != nil {
			return err
		}
		if err := look(out, b.Labels); err != nil {
			return err
		}
	}
	return nil
}

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
	m := e.manifest
	if len(state.Params) != m.ParamCount() || len(state.Stats) != m.StatCount() {
		return Score{}, fmt.Errorf("the state has %d parameters and %d statistics; %s has %d and %d",
			len(state.Params), len(state.Stats), m.Model.Name, m.ParamCount(), m.StatCount())
	}
	fixed := map[string]*Tensor{}
	defer func() {
		for _, t := range fixed {
			t.Close()
		}
	}()
	var err error
	if fixed[artifact.Params], err = WrapTensor(state.Params, int64(len(state.Params))); err != nil {
		return Score{}, fmt.Errorf("parameters: %w", err)
	}
	if len(state.Stats) > 0 {
		if fixed[artifact.Stats], err = WrapTensor(state.Stats, int64(len(state.Stats))); err != nil {
			return Score{}, fmt.Errorf("statistics: %w", err)
		}
	}
	f := forward{session: e.session, images: artifact.Images, logits: artifact.Logits,
		image: m.Model.Input, classes: m.Model.Classes, fixed: fixed}
	return score(&f, batches)
}

// Close frees the session. Closing twice is harmless.
func (e *Evaluator) Close() error { return e.session.Close() }

// forward runs a classifier on batches of any size, with buffers that grow to
// the largest batch seen. It serves one goroutine.
type forward struct {
	session        *Session
	images, logits string // port names
	image          [3]int // C, H, W
	classes        int
	// batch is the model's batch size if it is fixed, 0 if it is free.
	batch int
	// fixed are the inputs other than the images.
	fixed map[string]*Tensor

	padded []float32 // a last, partial batch of a fixed-batch model
	out    []float32
}

// run returns the logits, n×K, in memory that the next call overwrites.
func (f *forward) run(images []float32, n int) ([]float32, error) {
	return f.runContext(context.Background(), images, n)
}

func (f *forward) runContext(ctx context.Context, images []float32, n int) ([]float32, error) {
	size := f.image[0] * f.image[1] * f.image[2]
	if n < 1 || len(images) != n*size {
		return nil, fmt.Errorf("%s: %d values given for %d images of %d×%d×%d, which have %d",
			f.session.name, len(images), n, f.image[0], f.image[1], f.image[2], n*size)
	}
	chunk := n
	if f.batch > 0 {
		chunk = f.batch
	}
	room := (n + chunk - 1) / chunk * chunk * f.classes
	if cap(f.out) < room {
		f.out = aligned(room)
	}
	out := f.out[:room]
	for at := 0; at < n; at += chunk {
		part := images[at*size : min(at+chunk, n)*size]
		if len(part) < chunk*size {
			if f.padded == nil {
				f.padded = aligned(chunk * size)
			}
			copy(f.padded, part)
			part = f.padded
		}
		if err := f.chunk(ctx, part, out[at*f.classes:(at+chunk)*f.classes], chunk); err != nil {
			return nil, err
		}
	}
	return out[:n*f.classes], nil
}

func (f *forward) chunk(ctx context.Context, images, logits []float32, n int) error {
	x, err := WrapTensor(images, int64(n), int64(f.image[0]), int64(f.image[1]), int64(f.image[2]))
	if err != nil {
		return err
	}
	defer x.Close()
	y, err := WrapTensor(logits, int64(n), int64(f.classes))
	if err != nil {
		return err
	}
	defer y.Close()
	in := map[string]*Tensor{f.images: x}
	for name, t := range f.fixed {
		in[name] = t
	}
	return f.session.RunContext(ctx, in, map[string]*Tensor{f.logits: y})
}

// score runs every batch and adds up the scores.
func score(f *forward, batches iter.Seq2[Batch, error]) (Score, error) {
	var total Score
	for b, err := range batches {
		if err != nil {
			return total, err
		}
		if len(b.Labels) == 0 {
			continue
		}
		logits, err := f.run(b.Images, len(b.Labels))
		if err != nil {
			return total, err
		}
		if err := total.Add(logits, b.Labels); err != nil {
			return total, err
		}
	}
	return total, nil
}

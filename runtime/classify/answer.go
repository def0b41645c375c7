package classify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// Class is one class and how likely it is.
type Class struct {
	Index int `json:"index"`
	// Name is the index in digits if the model names no classes.
	Name        string  `json:"name"`
	Probability float64 `json:"probability"`
}

// Answer is what a model says of one image.
type Answer struct {
	// Values are the model's outputs: a logit or probability for each class,
	// or the largest few.
	Values []float32
	// Probabilities tells that Values are probabilities, not logits.
	Probabilities bool
	// classes are those of Values in a model that gives the best few only.
	classes []int64
	names   []string
}

// Top returns the k most likely classes, the most likely first, or as many as
// the model gives. Probabilities are the softmax of logits; of a model that
// gives only the best logits, among these.
func (a Answer) Top(k int) []Class {
	p := a.probabilities()
	out := make([]Class, len(p))
	for i, v := range p {
		c := i
		if a.classes != nil {
			c = int(a.classes[i])
		}
		out[i] = Class{Index: c, Name: fmt.Sprint(c), Probability: v}
		if c >= 0 && c < len(a.names) {
			out[i].Name = a.names[c]
		}
	}
	slices.SortStableFunc(out, func(a, b Class) int { return cmp.Compare(b.Probability, a.Probability) })
	return out[:max(0, min(k, len(out)))]
}

func (a Answer) probabilities() []float64 {
	p := make([]float64, len(a.Values))
	if a.Probabilities || len(p) == 0 {
		for i, v := range a.Values {
			p[i] = float64(v)
		}
		return p
	}
	top := float64(slices.Max(a.Values))
	sum := 0.0
	for i, v := range a.Values {
		p[i] = math.Exp(float64(v) - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// Run classifies inputs that this Model's Decode or Convert made: one run for
// up to Options.Batch of them; images of different sizes run apart in a model
// that takes pixels. It ends early, with the context's error, when the context
// is done, and with ErrClosed after Close.
func (m *Model) Run(ctx context.Context, inputs ...*Input) ([]Answer, error) {
	m.closing.RLock()
	defer m.closing.RUnlock()
	if m.closed {
		return nil, fmt.Errorf("%s: %w", m.name, ErrClosed)
	}
	answers := make([]Answer, 0, len(inputs))
	for at := 0; at < len(inputs); {
		n, err := m.alike(inputs[at:])
		if err != nil {
			return nil, err
		}
		got, err := m.batch(ctx, inputs[at:at+n])
		if err != nil {
			return nil, err
		}
		answers = m.split(answers, got, n)
		at += n
	}
	return answers, nil
}

// alike returns how many of the inputs, at least one, can run together.
func (m *Model) alike(inputs []*Input) (int, error) {
	n := 0
	var size pixel.Size
	for _, in := range inputs[:min(len(inputs), m.options.Batch)] {
		if in == nil || (in.pixels == nil) != (m.normalise != nil) || in.pixels == nil && len(in.planes) != m.geometry.size.Elements() {
			return 0, errors.New("an input that another model made, or none")
		}
		if in.pixels != nil {
			if n > 0 && in.pixels.Size != size {
				break
			}
			size = in.pixels.Size
		}
		n++
	}
	return n, nil
}

// batch runs inputs of one size.
func (m *Model) batch(ctx context.Context, inputs []*Input) (runtime.Answers, error) {
	n := len(inputs)
	if m.normalise == nil {
		size := inputs[0].pixels.Size
		pixels := inputs[0].pixels.Pix
		if n > 1 {
			pixels = make([]uint8, 0, n*size.Elements())
			for _, in := range inputs {
				pixels = append(pixels, in.pixels.Pix...)
			}
		}
		return m.network.AnswerPixels(ctx, pixels, n, size.H, size.W)
	}
	planes := inputs[0].planes
	if n > 1 {
		planes = make([]float32, 0, n*m.geometry.size.Elements())
		for _, in := range inputs {
			planes = append(planes, in.planes...)
		}
	}
	return m.network.Answer(ctx, planes, n)
}

func (m *Model) split(answers []Answer, all runtime.Answers, n int) []Answer {
	k := all.Columns
	for i := range n {
		a := Answer{Values: all.Values[i*k : (i+1)*k : (i+1)*k], Probabilities: all.Probabilities, names: m.names}
		if all.Classes != nil {
			a.classes = all.Classes[i*k : (i+1)*k]
		}
		answers = append(answers, a)
	}
	return answers
}

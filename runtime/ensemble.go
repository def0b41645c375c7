package runtime

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// Ensemble is one or several teachers whose answers are averaged. It serves
// one goroutine at a time.
type Ensemble struct {
	teachers []*Teacher
	weights  []float64 // positive, sum to one
	// ofProbabilities averages the softmaxes at the temperature, not the logits.
	ofProbabilities bool
	k               int
	one             []float32 // one teacher's logits
}

// NewEnsemble averages teachers of k classes by weights, which must not be
// negative and not all 0: the mean of their probabilities at the step's
// temperature, or of their logits. It closes the teachers with itself, and
// those without weight at once.
func NewEnsemble(teachers []*Teacher, weights []float64, ofProbabilities bool, k int) (*Ensemble, error) {
	e := &Ensemble{ofProbabilities: ofProbabilities, k: k}
	sum := 0.0
	for i, w := range weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			return nil, fmt.Errorf("the weight of teacher %d is %v; it must not be negative", i+1, w)
		}
		sum += w
	}
	if len(weights) != len(teachers) || !(sum > 0) {
		return nil, errors.New("the teachers' weights sum to 0: give at least one a weight above 0")
	}
	for i, t := range teachers {
		if weights[i] == 0 {
			t.Close()
			continue
		}
		e.teachers = append(e.teachers, t)
		e.weights = append(e.weights, weights[i]/sum)
	}
	return e, nil
}

// Teachers returns those that have a weight; the caller must not change them.
func (e *Ensemble) Teachers() []*Teacher { return e.teachers }

// Row returns the number of values that Answer gives for an image: K logits of
// each teacher.
func (e *Ensemble) Row() int { return len(e.teachers) * e.k }

// Answer runs every teacher on n images, as Teacher.Logits does, and fills dst,
// n×Row: for each image the teachers' logits one after another.
func (e *Ensemble) Answer(ctx context.Context, dst, images []float32, n int) error {
	if len(dst) != n*e.Row() {
		return fmt.Errorf("room for %d values given for the answers of %d teachers for %d images", len(dst), len(e.teachers), n)
	}
	if len(e.teachers) == 1 {
		return e.teachers[0].Logits(ctx, dst, images, n)
	}
	if len(e.one) != n*e.k {
		e.one = make([]float32, n*e.k)
	}
	for m, t := range e.teachers {
		if err := t.Logits(ctx, e.one, images, n); err != nil {
			return err
		}
		for i := range n {
			copy(dst[(i*len(e.teachers)+m)*e.k:], e.one[i*e.k:(i+1)*e.k])
		}
	}
	return nil
}

// Combine makes one teacher of several: it fills logits, n×K, from answers,
// n×Row, for the temperature that they will be divided by.
func (e *Ensemble) Combine(logits, answers []float32, temperature float64) {
	if len(e.teachers) == 1 {
		copy(logits, answers)
		return
	}
	k, row := e.k, e.Row()
	mean := make([]float64, k)
	for i := range len(logits) / k {
		clear(mean)
		for m, w := range e.weights {
			part := answers[i*row+m*k : i*row+(m+1)*k]
			if !e.ofProbabilities {
				for j, v := range part {
					mean[j] += w * float64(v)
				}
				continue
			}
			top, sum := math.Inf(-1), 0.0
			for _, v := range part {
				top = max(top, float64(v))
			}
			for _, v := range part {
				sum += math.Exp((float64(v) - top) / temperature)
			}
			for j, v := range part {
				mean[j] += w * math.Exp((float64(v)-top)/temperature) / sum
			}
		}
		for j, v := range mean {
			if e.ofProbabilities {
				v = temperature * math.Log(max(v, 1e-30))
			}
			logits[i*k+j] = float32(v)
		}
	}
}

// Close closes the teachers. Closing twice is harmless.
func (e *Ensemble) Close() error {
	if e == nil {
		return nil
	}
	var errs []error
	for _, t := range e.teachers {
		errs = append(errs, t.Close())
	}
	return errors.Join(errs...)
}

package ir

import "fmt"

// Softmax turns the last axis of a value of rank 2 or more into probabilities,
// exp(z) over its sum: each row of a matrix N×K.
type Softmax struct{}

func (Softmax) Kind() string { return "Softmax" }

func (Softmax) Infer(in []Type) ([]Type, error) {
	if err := arity(in, 1); err != nil {
		return nil, err
	}
	if len(in[0].Shape) < 2 {
		return nil, fmt.Errorf("input %v must have rank 2 or more", in[0].Shape)
	}
	return in[:1:1], nil
}

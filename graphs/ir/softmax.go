package ir

import "fmt"

// Softmax turns each row of a matrix N×K into probabilities, exp(z) over its
// sum.
type Softmax struct{}

func (Softmax) Kind() string { return "Softmax" }

func (Softmax) Infer(in []Type) ([]Type, error) {
	if err := arity(in, 1); err != nil {
		return nil, err
	}
	if len(in[0].Shape) != 2 {
		return nil, fmt.Errorf("input %v must be a matrix", in[0].Shape)
	}
	return in[:1:1], nil
}

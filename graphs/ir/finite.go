package ir

import "fmt"

// SumSquares is the sum of the squares of all elements, a scalar. It is not
// finite if one of the elements is not.
type SumSquares struct{}

func (SumSquares) Kind() string { return "SumSquares" }

func (SumSquares) Infer(in []Type) ([]Type, error) {
	if err := arity(in, 1); err != nil {
		return nil, err
	}
	return []Type{{Float32, nil}}, nil
}

// KeepFinite is its second input where the first, a scalar, is finite, and its
// third, of the same type, where it is not: inputs measure, next, previous.
type KeepFinite struct{}

func (KeepFinite) Kind() string { return "KeepFinite" }

func (KeepFinite) Infer(in []Type) ([]Type, error) {
	if err := arity(in, 3); err != nil {
		return nil, err
	}
	if len(in[0].Shape) != 0 {
		return nil, fmt.Errorf("the measure is %v, must be a scalar", in[0].Shape)
	}
	if in[1].DType != in[2].DType || !in[1].Shape.Equal(in[2].Shape) {
		return nil, fmt.Errorf("the values to choose from are %v and %v", in[1], in[2])
	}
	return in[1:2:2], nil
}

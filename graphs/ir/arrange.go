package ir

import "fmt"

// Transpose permutes axes: axis i of the output is axis Perm[i] of the input,
// of rank at most ReshapeRank; further entries are 0.
type Transpose struct{ Perm [ReshapeRank]int }

// Permute makes the operator from a list of axes.
func Permute(axes ...int) Transpose {
	var t Transpose
	if len(axes) > ReshapeRank {
		panic(fmt.Sprintf("ir: transpose of %d axes exceeds rank %d", len(axes), ReshapeRank))
	}
	copy(t.Perm[:], axes)
	return t
}

func (Transpose) Kind() string { return "Transpose" }

func (o Transpose) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if len(s) > ReshapeRank {
		return nil, fmt.Errorf("rank of %v exceeds %d", s, ReshapeRank)
	}
	out, seen := make(Shape, len(s)), 0
	for i := range s {
		p := o.Perm[i]
		if p < 0 || p >= len(s) || seen>>p&1 == 1 {
			return nil, fmt.Errorf("axes %v are no permutation of those of %v", o.Perm[:len(s)], s)
		}
		seen |= 1 << p
		out[i] = s[p]
	}
	return []Type{{in[0].DType, out}}, nil
}

// Inverse returns the permutation that undoes o on values of the given rank.
func (o Transpose) Inverse(rank int) Transpose {
	var inv Transpose
	for i := range rank {
		inv.Perm[o.Perm[i]] = i
	}
	return inv
}

// Expand repeats the input to another shape, by NumPy's rules of broadcasting
// (rank at most ReshapeRank; unused dimensions of To are 0).
type Expand struct {
	To [ReshapeRank]int
	// Batch is as in Reshape.
	Batch int
}

// ExpandTo makes the operator from a shape.
func ExpandTo(s Shape) Expand { return Expand{To: ReshapeTo(s).To} }

func (Expand) Kind() string { return "Expand" }

// Shape returns the target shape.
func (o Expand) Shape() Shape { return Reshape{To: o.To}.Shape() }

func (o Expand) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	to := o.Shape()
	if s, err := Broadcasted(in[0].Shape, to); err != nil || !s.Equal(to) {
		return nil, fmt.Errorf("%v does not expand to %v", in[0].Shape, to)
	}
	return []Type{{in[0].DType, to}}, nil
}

package ir

import "fmt"

// MaxRank is the highest rank of Slice, Pad and Concat; ReshapeRank that of
// Reshape, Transpose and Expand.
const (
	MaxRank     = 4
	ReshapeRank = 6
)

// Reshape gives the same elements another static shape (rank ≤ ReshapeRank;
// unused dimensions of To are 0).
type Reshape struct {
	To [ReshapeRank]int
	// Batch is one more than the axis of To that holds the batch, which is left
	// open where Graph.DynamicBatch lets it vary; 0 if none does.
	Batch int
}

// ReshapeTo makes the operator from a shape.
func ReshapeTo(s Shape) Reshape {
	var r Reshape
	if len(s) > ReshapeRank {
		panic(fmt.Sprintf("ir: reshape to %v exceeds rank %d", s, ReshapeRank))
	}
	copy(r.To[:], s)
	return r
}

func (Reshape) Kind() string { return "Reshape" }

// Shape returns the target shape.
func (o Reshape) Shape() Shape {
	var s Shape
	for _, d := range o.To {
		if d == 0 {
			break
		}
		s = append(s, d)
	}
	return s
}

func (o Reshape) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	s := o.Shape()
	if s.Size() != in[0].Shape.Size() {
		return nil, fmt.Errorf("%v does not reshape to %v", in[0].Shape, s)
	}
	return []Type{{in[0].DType, s}}, nil
}

// Slice takes Size[i] elements from Start[i] in steps of Step[i] on each axis i
// below the input's rank.
type Slice struct{ Start, Step, Size [MaxRank]int }

func (Slice) Kind() string { return "Slice" }

// Subsample keeps every stride-th row and column of an N×C×H×W map: the
// identity shortcut of a strided residual block (He et al. 2015, option A).
func Subsample(x Shape, stride int) Slice {
	return Slice{
		Step: [MaxRank]int{1, 1, stride, stride},
		Size: [MaxRank]int{x[0], x[1], (x[2] + stride - 1) / stride, (x[3] + stride - 1) / stride},
	}
}

func (o Slice) fits(s Shape) error {
	if len(s) > MaxRank {
		return fmt.Errorf("rank of %v exceeds %d", s, MaxRank)
	}
	for i, d := range s {
		if o.Start[i] < 0 || o.Step[i] < 1 || o.Size[i] < 1 || o.Start[i]+(o.Size[i]-1)*o.Step[i] >= d {
			return fmt.Errorf("start %d, step %d, size %d leave axis %d of %v", o.Start[i], o.Step[i], o.Size[i], i, s)
		}
	}
	return nil
}

func (o Slice) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if err := o.fits(s); err != nil {
		return nil, err
	}
	return []Type{{in[0].DType, o.Size[:len(s)]}}, nil
}

// SliceGrad is the gradient of Slice: it spreads dy over zeros of the shape
// Input of the sliced value.
type SliceGrad struct {
	Slice
	Input [MaxRank]int
}

func (SliceGrad) Kind() string { return "SliceGrad" }

func (o SliceGrad) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	dy := in[0].Shape
	if len(dy) > MaxRank || !dy.Equal(Shape(o.Size[:len(dy)])) {
		return nil, fmt.Errorf("gradient is %v, want %v", dy, o.Size)
	}
	x := Shape(o.Input[:len(dy)])
	if err := o.fits(x); err != nil {
		return nil, err
	}
	return []Type{{in[0].DType, x}}, nil
}

// Pad surrounds the input by zeros: Before[i] and After[i] elements on axis i.
type Pad struct{ Before, After [MaxRank]int }

func (Pad) Kind() string { return "Pad" }

func (o Pad) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if len(s) > MaxRank {
		return nil, fmt.Errorf("rank of %v exceeds %d", s, MaxRank)
	}
	out := append(Shape(nil), s...)
	for i := range s {
		if o.Before[i] < 0 || o.After[i] < 0 {
			return nil, fmt.Errorf("padding %v, %v must not be negative", o.Before, o.After)
		}
		out[i] += o.Before[i] + o.After[i]
	}
	return []Type{{in[0].DType, out}}, nil
}

// Concat joins tensors along Axis; the others are equal. The zero value joins
// vectors end to end.
type Concat struct{ Axis int }

func (Concat) Kind() string { return "Concat" }

func (o Concat) Infer(in []Type) ([]Type, error) {
	if len(in) == 0 {
		return nil, fmt.Errorf("takes at least one input")
	}
	if _, err := uniform(in, len(in)); err != nil {
		return nil, err
	}
	first := in[0].Shape
	if o.Axis < 0 || o.Axis >= len(first) || len(first) > MaxRank {
		return nil, fmt.Errorf("input %v has no axis %d to join along (rank at most %d)", first, o.Axis, MaxRank)
	}
	out := append(Shape(nil), first...)
	for _, t := range in[1:] {
		if len(t.Shape) != len(first) {
			return nil, fmt.Errorf("inputs %v and %v differ in rank", first, t.Shape)
		}
		for i, d := range t.Shape {
			switch {
			case i == o.Axis:
				out[i] += d
			case d != first[i]:
				return nil, fmt.Errorf("inputs %v and %v differ beside axis %d", first, t.Shape, o.Axis)
			}
		}
	}
	return []Type{{in[0].DType, out}}, nil
}

// Range takes size elements from start on along an axis, and the others whole.
func Range(x Shape, axis, start, size int) Slice {
	var s Slice
	for i, d := range x {
		s.Step[i], s.Size[i] = 1, d
	}
	s.Start[axis], s.Size[axis] = start, size
	return s
}

// Split cuts a flat vector into consecutive tensors of the given shapes.
type Split struct{ Parts []Shape }

func (Split) Kind() string { return "Split" }

func (o Split) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	out := make([]Type, len(o.Parts))
	n := 0
	for i, s := range o.Parts {
		out[i] = Type{in[0].DType, s}
		n += s.Size()
	}
	if len(in[0].Shape) != 1 || in[0].Shape[0] != n {
		return nil, fmt.Errorf("input %v does not split into %d elements", in[0].Shape, n)
	}
	return out, nil
}

// Runs is a constant vector made of runs of equal elements: Lengths[i] times
// Values[i]. It takes no input.
type Runs struct {
	Lengths []int
	Values  []float32
}

func (Runs) Kind() string { return "Runs" }

func (o Runs) Infer(in []Type) ([]Type, error) {
	if err := arity(in, 0); err != nil {
		return nil, err
	}
	n := 0
	for _, l := range o.Lengths {
		if l < 1 {
			return nil, fmt.Errorf("run lengths %v must be positive", o.Lengths)
		}
		n += l
	}
	if n == 0 || len(o.Lengths) != len(o.Values) {
		return nil, fmt.Errorf("have %d lengths and %d values", len(o.Lengths), len(o.Values))
	}
	return []Type{F32(n)}, nil
}

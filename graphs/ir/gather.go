package ir

import "fmt"

// Gather takes the elements Index, which may repeat, along Axis: a table of
// rows that is read by known positions, a reversed axis, a reflected border.
type Gather struct {
	Axis  int
	Index []int
}

func (Gather) Kind() string { return "Gather" }

func (o Gather) Infer(in []Type) ([]Type, error) {
	if err := arity(in, 1); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if err := o.fits(s); err != nil {
		return nil, err
	}
	out := append(Shape(nil), s...)
	out[o.Axis] = len(o.Index)
	return []Type{{Float32, out}}, nil
}

func (o Gather) fits(s Shape) error {
	if o.Axis < 0 || o.Axis >= len(s) {
		return fmt.Errorf("input %v has no axis %d", s, o.Axis)
	}
	for _, k := range o.Index {
		if k < 0 || k >= s[o.Axis] {
			return fmt.Errorf("position %d leaves axis %d of %v", k, o.Axis, s)
		}
	}
	return nil
}

// GatherGrad is the gradient of Gather: from dy it returns dx, which has Size
// elements along the axis, each the sum of dy where it was taken.
type GatherGrad struct {
	Gather
	Size int
}

func (GatherGrad) Kind() string { return "GatherGrad" }

func (o GatherGrad) Infer(in []Type) ([]Type, error) {
	if err := arity(in, 1); err != nil {
		return nil, err
	}
	x := append(Shape(nil), in[0].Shape...)
	if o.Axis < 0 || o.Axis >= len(x) || x[o.Axis] != len(o.Index) {
		return nil, fmt.Errorf("gradient is %v, want %d elements along axis %d", x, len(o.Index), o.Axis)
	}
	x[o.Axis] = o.Size
	if err := o.fits(x); err != nil {
		return nil, err
	}
	return []Type{{Float32, x}}, nil
}

// Places lists for each of the Size elements where in Index it stands, filled
// up by len(Index) to the length of the longest list, which is returned too.
func (o GatherGrad) Places() (places []int, longest int) {
	at := make([][]int, o.Size)
	for i, k := range o.Index {
		at[k] = append(at[k], i)
		longest = max(longest, len(at[k]))
	}
	for _, list := range at {
		places = append(places, list...)
		for range longest - len(list) {
			places = append(places, len(o.Index))
		}
	}
	return places, longest
}

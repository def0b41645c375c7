package optimizer

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
)

// layers cuts flat vectors [P] into stretches, some of which are looked at as
// matrices, row by row. It is how rules see single tensors (one row each) or
// single units of them (one row for each output channel) without a copy of the
// vector for each: R rows in all have R norms, in one vector.
type layers struct {
	s         *State
	stretches []stretch
	rows      int
}

// stretch is a run of elements: rows×columns, or, if rows is 0, columns
// elements that are passed over.
type stretch struct {
	rows, columns int
	decay         bool
}

// layersOf groups the segments: rows tells how many rows each has, 0 to pass
// it over. Neighbours that are passed over become one stretch.
func (s *State) layersOf(rows func(i int, g Segment) int) *layers {
	l := &layers{s: s}
	for i, g := range s.Segments {
		r := rows(i, g)
		if n := len(l.stretches); r == 0 && n > 0 && l.stretches[n-1].rows == 0 {
			l.stretches[n-1].columns += g.Size
			continue
		}
		l.stretches = append(l.stretches, stretch{r, g.Size / max(r, 1), g.Decay})
		l.rows += r
	}
	return l
}

// tensors has one row for each weight and, if all is set, for each parameter
// of norms and each bias as well.
func (s *State) tensors(all bool) *layers {
	return s.layersOf(func(_ int, g Segment) int {
		if all || g.Kind == Weight {
			return 1
		}
		return 0
	})
}

// shape is what a stretch of a flat vector is split into. A single row stays
// a vector.
func (t stretch) shape() ir.Shape {
	if t.rows > 1 {
		return ir.Shape{t.rows, t.columns}
	}
	return ir.Shape{t.columns}
}

// split returns the stretches of x; the slice is the caller's.
func (l *layers) split(x *ir.Value) []*ir.Value {
	shapes := make([]ir.Shape, len(l.stretches))
	for i, t := range l.stretches {
		shapes[i] = t.shape()
	}
	return slices.Clone(l.s.G.Apply("layers", ir.Split{Parts: shapes}, x))
}

// norms returns the Euclidean norm of every row of x [P], a vector [R].
func (l *layers) norms(x *ir.Value) *ir.Value {
	parts := l.split(l.s.mul(x, x))
	var sums []*ir.Value
	for i, t := range l.stretches {
		switch {
		case t.rows == 1:
			sums = append(sums, l.s.G.One("layers.sum", ir.Sum{Axes: 1, Keep: true}, parts[i]))
		case t.rows > 1:
			sums = append(sums, l.s.G.One("layers.sum", ir.Sum{Axes: 2}, parts[i]))
		}
	}
	return l.s.sqrt(l.s.G.One("layers.sums", ir.Concat{}, sums...))
}

// scale multiplies every row of x [P] by its factor of a vector [R].
func (l *layers) scale(x, factors *ir.Value) *ir.Value {
	var shapes []ir.Shape
	for _, t := range l.stretches {
		switch {
		case t.rows == 1:
			shapes = append(shapes, ir.Shape{1})
		case t.rows > 1:
			shapes = append(shapes, ir.Shape{t.rows, 1})
		}
	}
	by := l.s.G.Apply("layers.factors", ir.Split{Parts: shapes}, factors)
	parts := l.split(x)
	for i, t := range l.stretches {
		if t.rows == 0 {
			continue
		}
		parts[i] = l.s.mul(parts[i], by[0])
		by = by[1:]
		if t.rows > 1 {
			parts[i] = l.s.G.One("layers.flat", ir.ReshapeTo(ir.Shape{t.rows * t.columns}), parts[i])
		}
	}
	return l.s.G.One("layers.scaled", ir.Concat{}, parts...)
}

// decayed is a vector [R] of ones for the rows to which decay applies and
// zeros for the others.
func (l *layers) decayed() *ir.Value {
	var runs ir.Runs
	for _, t := range l.stretches {
		if t.rows == 0 {
			continue
		}
		v := float32(0)
		if t.decay {
			v = 1
		}
		if n := len(runs.Values); n > 0 && runs.Values[n-1] == v {
			runs.Lengths[n-1] += t.rows
			continue
		}
		runs.Lengths, runs.Values = append(runs.Lengths, t.rows), append(runs.Values, v)
	}
	return l.s.G.One("layers.decayed", runs)
}

// trust returns above/below where both norms, above and other, are positive,
// and 1 elsewhere: no element is ever divided by zero.
func (s *State) trust(above, other, below *ir.Value) *ir.Value {
	both := s.mul(s.unary(ir.Sign, above), s.unary(ir.Sign, other))
	not := s.oneMinus(both)
	return s.add(s.mul(both, s.div(above, s.add(below, not))), not)
}

package importer

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
)

// The operators that move elements about.

func init() {
	translate(func(w *walker) { w.set(0, w.reshape(w.tensor(0), w.reshaped(w.tensor(0).Shape))) },
		"Reshape", "Flatten", "Squeeze", "Unsqueeze")
	translate(transpose, "Transpose")
	translate(concat, "Concat")
	translate(split, "Split")
	translate(slice, "Slice")
	translate(gather, "Gather")
	translate(expand, "Expand")
	translate(func(w *walker) { w.fail("its value cannot be told when the model is read") },
		"Shape", "Size", "ConstantOfShape", "Range", "Where", "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual",
		"And", "Or", "Not", "Mod", "Floor", "Ceil", "Round", "ReduceProd", "Tile")
}

// reshaped is the shape that Reshape, Flatten, Squeeze or Unsqueeze give a value
// of shape s.
func (w *walker) reshaped(s ir.Shape) ir.Shape {
	switch w.node.GetOpType() {
	case "Flatten":
		axis := w.int("axis", 1)
		if axis < 0 {
			axis += len(s)
		}
		if axis < 0 || axis > len(s) {
			w.fail("axis %d does not exist in a value of shape %v", axis, s)
		}
		return ir.Shape{s[:axis].Size(), s[axis:].Size()}
	case "Squeeze":
		axes, ok := w.list("axes", 1)
		var out ir.Shape
		for i := range axes {
			axes[i] = w.axis(axes[i], len(s))
			if s[axes[i]] != 1 {
				w.fail("axis %d of shape %v is not 1", axes[i], s)
			}
		}
		for i, d := range s {
			// Without axes all that are 1 go, but for the batch.
			if ok && slices.Contains(axes, i) || !ok && d == 1 && i > 0 {
				continue
			}
			out = append(out, d)
		}
		return out
	case "Unsqueeze":
		axes, ok := w.list("axes", 1)
		rank := len(s) + len(axes)
		if !ok || rank > 2*ir.ReshapeRank {
			w.fail("it has no fitting axes")
		}
		out := make(ir.Shape, rank)
		for _, a := range axes {
			out[w.axis(a, rank)] = 1
		}
		rest := s
		for i, d := range out {
			if d == 0 {
				if len(rest) == 0 {
					w.fail("axes %v name one twice", axes)
				}
				out[i], rest = rest[0], rest[1:]
			}
		}
		if len(rest) > 0 {
			w.fail("axes %v name one twice", axes)
		}
		return out
	}
	return w.target(s)
}

// target is the shape that a Reshape asks for.
func (w *walker) target(s ir.Shape) ir.Shape {
	var to []int
	if w.has(1) {
		to = w.known(1).ints()
	} else if w.attr("shape") != nil {
		to = w.ints("shape")
	} else {
		w.fail("it lacks a shape")
	}
	to = slices.Clone(to)
	w.behindHead(to)
	// A model exported for a fixed batch names it.
	if n := w.images.Shape[0]; w.s.batch > 0 && len(to) > 0 && len(s) > 0 && to[0] == w.s.batch && s[0] == n {
		to[0] = n
	}
	open, known := -1, 1
	for i, d := range to {
		switch {
		case d == 0 && w.int("allowzero", 0) == 0 && i < len(s):
			to[i] = s[i]
		case d == -1 && open < 0:
			open = i
			continue
		case d < 1 || d > maxDim:
			w.fail("a value of shape %v cannot become %v", s, to)
		}
		if known > maxDim*64/to[i] {
			w.fail("a value of shape %v cannot become %v", s, to)
		}
		known *= to[i]
	}
	if open >= 0 {
		if s.Size()%known != 0 || s.Size() == 0 {
			w.fail("a value of shape %v cannot become %v", s, to)
		}
		to[open] = s.Size() / known
	}
	return to
}

func transpose(w *walker) {
	x := w.tensor(0)
	perm := w.ints("perm")
	if w.attr("perm") == nil {
		for i := range x.Shape {
			perm = append(perm, len(x.Shape)-1-i)
		}
	}
	w.set(0, w.permute(x, perm))
}

func concat(w *walker) {
	var in []*ir.Value
	for i := range w.node.GetInput() {
		in = append(in, w.tensor(i))
	}
	if len(in) == 0 {
		w.fail("it has no inputs")
	}
	if len(in) == 1 {
		w.set(0, in[0])
		return
	}
	s := in[0].Shape
	axis := w.axis(w.int("axis", 0), len(s))
	if len(s) <= ir.MaxRank {
		w.set(0, w.one(ir.Concat{Axis: axis}, in...))
		return
	}
	total := 0
	for i, x := range in {
		total += x.Shape[axis]
		in[i] = w.reshape(x, ir.Shape{x.Shape[:axis].Size(), x.Shape[axis], x.Shape[axis+1:].Size()})
	}
	to := append(ir.Shape(nil), s...)
	to[axis] = total
	w.set(0, w.reshape(w.one(ir.Concat{Axis: 1}, in...), to))
}

func split(w *walker) {
	x := w.tensor(0)
	axis := w.axis(w.int("axis", 0), len(x.Shape))
	n := len(w.node.GetOutput())
	sizes, ok := w.list("split", 1)
	if !ok {
		size := (x.Shape[axis] + n - 1) / max(n, 1)
		for left := x.Shape[axis]; left > 0; left -= size {
			sizes = append(sizes, min(size, left))
		}
	}
	if len(sizes) != n {
		w.fail("%d parts of an axis of %d have sizes %v", n, x.Shape[axis], sizes)
	}
	start := 0
	for i, size := range sizes {
		if size < 1 || start+size > x.Shape[axis] {
			w.fail("%d parts of an axis of %d have sizes %v", n, x.Shape[axis], sizes)
		}
		w.set(i, w.cut(x, axis, start, 1, size))
		start += size
	}
}

// span is what a Slice takes of one axis.
type span struct{ axis, start, step, size int }

// ranges reads the settings of a Slice of a value of shape s.
func (w *walker) ranges(s ir.Shape) []span {
	starts, ok := w.list("starts", 1)
	ends, ok2 := w.list("ends", 2)
	axes, ok3 := w.list("axes", 3)
	steps, ok4 := w.list("steps", 4)
	if !ok || !ok2 || len(starts) != len(ends) || ok3 && len(axes) != len(starts) || ok4 && len(steps) != len(starts) {
		w.fail("its starts, ends, axes and steps do not agree")
	}
	var out []span
	for i := range starts {
		r := span{axis: i, step: 1}
		if ok3 {
			r.axis = axes[i]
		}
		r.axis = w.axis(r.axis, len(s))
		if ok4 {
			r.step = steps[i]
		}
		if r.step == 0 {
			w.fail("a slice in steps of 0")
		}
		d := s[r.axis]
		low, high := 0, d // where the first element may be, and the end
		if r.step < 0 {
			low, high = -1, d-1
		}
		end := ends[i]
		r.start = starts[i]
		for _, x := range []*int{&r.start, &end} {
			if *x < 0 {
				*x += d
			}
			*x = min(max(*x, low), high)
		}
		if r.step > 0 {
			r.size = max(0, (end-r.start+r.step-1)/r.step)
		} else {
			r.size = max(0, (r.start-end-r.step-1)/-r.step)
		}
		out = append(out, r)
	}
	return out
}

func slice(w *walker) {
	x := w.tensor(0)
	for _, r := range w.ranges(x.Shape) {
		if r.size < 1 {
			w.fail("a slice of axis %d of %v is empty", r.axis, x.Shape)
		}
		if r.step < 0 {
			index := make([]int, r.size)
			for i := range index {
				index[i] = r.start + i*r.step
			}
			x = w.gathered(x, r.axis, index)
			continue
		}
		x = w.cut(x, r.axis, r.start, r.step, r.size)
	}
	w.set(0, x)
}

// gather takes known positions of an axis.
func gather(w *walker) {
	x, index := w.tensor(0), w.known(1)
	axis := w.axis(w.int("axis", 0), len(x.Shape))
	at := index.ints()
	for i := range at {
		at[i] = w.axis(at[i], x.Shape[axis])
	}
	y := w.gathered(x, axis, at)
	if len(index.shape) != 1 {
		w.replaceAxis(y, axis, index.shape)
		return
	}
	w.set(0, y)
}

// replaceAxis binds y with one axis in place of which come those of shape.
func (w *walker) replaceAxis(y *ir.Value, axis int, shape ir.Shape) {
	to := append(append(append(ir.Shape(nil), y.Shape[:axis]...), shape...), y.Shape[axis+1:]...)
	w.set(0, w.reshape(y, to))
}

// gathered takes positions of an axis: a run of them is a slice.
func (w *walker) gathered(x *ir.Value, axis int, at []int) *ir.Value {
	// What the gradient gathers is the longest list of places for each element.
	const most = 1 << 22
	run, times, longest := true, map[int]int{}, 0
	for i, k := range at {
		run = run && k == at[0]+i
		times[k]++
		longest = max(longest, times[k])
	}
	if len(at) == 0 || longest*x.Shape[axis] > most {
		w.fail("%d positions, of which one comes %d times, cannot be taken from an axis of %d", len(at), longest, x.Shape[axis])
	}
	if run {
		return w.cut(x, axis, at[0], 1, len(at))
	}
	return w.one(ir.Gather{Axis: axis, Index: at}, x)
}

// expand takes the fixed batch of an export as any.
func expand(w *walker) {
	x, to := w.tensor(0), slices.Clone(w.known(1).ints())
	for _, d := range to {
		if d < 1 || d > maxDim {
			w.fail("a value of shape %v cannot become %v", x.Shape, to)
		}
	}
	if w.s.batch > 0 && len(to) >= len(x.Shape) && len(to) > 1 && to[0] == w.s.batch {
		to[0] = w.images.Shape[0]
	}
	s, err := ir.Broadcasted(x.Shape, to)
	if err != nil {
		w.fail("%w", err)
	}
	w.set(0, w.expand(x, s))
}

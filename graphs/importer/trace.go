package importer

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/nn"
)

type traceKey struct {
	classes int
	input   [3]int
}

// trace is what two trial walks of different batch sizes have found.
type trace struct {
	err      error
	axes     []int
	declared []Weight
}

func (s *Source) trace(c models.Config) (*trace, error) {
	key := traceKey{c.Classes, c.Input}
	if t := s.traces[key]; t != nil {
		return t, t.err
	}
	t := &trace{}
	s.traces[key] = t
	var shapes [2][]ir.Shape
	for i, batch := range []int{2, 3} {
		g := ir.New("trial")
		h := &hints{record: true}
		b := &nn.Builder{G: g, Source: &nn.Collector{G: g}, Training: true}
		x := g.Input("images", ir.F32(batch, c.Input[0], c.Input[1], c.Input[2]))
		if _, t.err = s.walk(b, x, c, h); t.err != nil {
			return t, t.err
		}
		shapes[i], t.declared = h.shapes, h.declared
	}
	for i := range shapes[0] {
		axis := 0
		for j, d := range shapes[0][i] {
			if e := shapes[1][i][j]; d != e {
				if axis != 0 {
					t.err = fmt.Errorf("the batch is in two axes of a value of shape %v: a dynamic shape that cannot be resolved", shapes[0][i])
					return t, t.err
				}
				axis = j + 1
			}
		}
		t.axes = append(t.axes, axis)
	}
	return t, nil
}

// hints carry the batch axes of reshaped values, in the order of the walk;
// while recording, the shapes that they are found from.
type hints struct {
	axes   []int
	next   int
	record bool
	shapes []ir.Shape

	declared []Weight
}

func (h *hints) axis(s ir.Shape) int {
	if h.record {
		h.shapes = append(h.shapes, s)
		return 0
	}
	h.next++
	if h.next > len(h.axes) {
		panic("importer: the walk differs from its trial")
	}
	return h.axes[h.next-1]
}

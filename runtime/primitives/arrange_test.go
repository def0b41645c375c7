package primitives

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
)

// arrangeCases are those of the operators that networks from elsewhere bring.
func arrangeCases() []testCase {
	r := seeded(11)
	var cases []testCase
	add := func(op ir.Op, shapes ...ir.Shape) {
		c := testCase{op: op}
		for _, s := range shapes {
			c.in = append(c.in, r.normal(0.2, 1, s...))
		}
		cases = append(cases, c)
	}
	for _, perm := range [][]int{{1, 0}, {0, 1}, {0, 2, 3, 1}, {0, 3, 1, 2}, {1, 0, 3, 2}, {2, 0, 3, 1, 4}, {0, 1, 3, 5, 2, 4}} {
		s := ir.Shape{2, 3, 4, 1, 5, 2}[:len(perm)]
		add(ir.Permute(perm...), s)
		add(ir.Permute(0, 2, 3, 1), ir.Shape{2, 16, 3, 5}) // behind and before blocks of channels
	}
	for _, e := range [][2]ir.Shape{{nil, {3}}, {{3, 1}, {2, 3, 4}}, {{1, 1, 7}, {5, 1, 7}}, {{2, 16, 1, 1}, {2, 16, 3, 4}}, {{4}, {4}}, {{1, 2, 1, 1, 3}, {2, 2, 2, 2, 3}}} {
		add(ir.ExpandTo(e[1]), e[0])
	}
	for _, m := range []ir.BatchMatMul{{}, {TransA: true}, {TransB: true}, {TransA: true, TransB: true}} {
		for _, lead := range [][2]ir.Shape{{nil, nil}, {{2}, {2}}, {{2, 3}, {2, 3}}, {{2, 3}, nil}, {nil, {4}}, {{2, 1}, {3}}} {
			for _, d := range [][3]int{{5, 7, 3}, {1, 16, 10}, {17, 1, 2}} {
				a, b := ir.Shape{d[0], d[1]}, ir.Shape{d[1], d[2]}
				if m.TransA {
					a = ir.Shape{d[1], d[0]}
				}
				if m.TransB {
					b = ir.Shape{d[2], d[1]}
				}
				add(m, slices.Concat(lead[0], a), slices.Concat(lead[1], b))
			}
		}
	}
	for _, s := range []ir.Shape{{3, 8}, {2, 5, 16}, {2, 3, 4, 17}, {1, 1, 96}} {
		d := ir.Shape{s[len(s)-1]}
		add(ir.LayerNorm{Eps: 1e-5}, s, d, d)
		add(ir.LayerNorm{Eps: 1e-3}, s, d, d)
		add(ir.Softmax{}, s)
	}
	return cases
}

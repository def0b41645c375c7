package primitives

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/reference"
)

// pools are the windows that the pooling operators are tested with.
var pools = []ir.PoolAttr{
	ir.Windows(3, 2, 1), ir.Windows(2, 2, 0), ir.Windows(3, 1, 1), ir.Windows(3, 3, 0), ir.Windows(2, 3, 1), ir.Windows(1, 2, 0),
	// PyTorch's ceil_mode; windows, strides and paddings that differ.
	{Kernel: [2]int{2, 2}, Stride: [2]int{2, 2}, Pad: [4]int{0, 0, 1, 1}},
	{Kernel: [2]int{3, 2}, Stride: [2]int{1, 2}, Pad: [4]int{0, 1, 2, 0}},
	{Kernel: [2]int{5, 4}, Stride: [2]int{3, 2}, Pad: [4]int{2, 1, 0, 3}},
}

// windowCases lists the cases of the pooling operators.
func windowCases() []testCase {
	r := seeded(6)
	var cases []testCase
	add := func(op ir.Op, in ...reference.Tensor) { cases = append(cases, testCase{op, in}) }
	for _, s := range append([]ir.Shape{{2, 16, 12, 6}, {4, 3, 16, 16}}, images...) {
		size := [2]int{s[2], s[3]}
		for _, a := range pools {
			out, err := a.OutSize(size)
			if err != nil {
				continue
			}
			y := ir.Shape{s[0], s[1], out[0], out[1]}
			// Equal numbers abound behind a rectifier, and everything is equal
			// in the last; the gradient has one place to go all the same.
			few := r.normal(0, 1, s...)
			for i, v := range few.Data {
				few.Data[i] = max(0, float64(int(2*v)))
			}
			for _, x := range []reference.Tensor{r.normal(-1, 1, s...), few, reference.Zeros(s)} {
				add(ir.MaxPool{PoolAttr: a}, x)
				add(ir.MaxPoolGrad{PoolAttr: a}, r.normal(0, 1, y...), x, mustApply(ir.MaxPool{PoolAttr: a}, x)[0])
			}
			for _, countPad := range []bool{false, true} {
				op := ir.AvgPool{PoolAttr: a, CountPad: countPad}
				add(op, r.normal(0.5, 1, s...))
				add(ir.AvgPoolGrad{AvgPool: op, Input: size}, r.normal(0, 1, y...))
			}
		}
	}
	return cases
}

// windowDifferences are the cases of the pooling gradients. The numbers of a
// maximum are farther apart than two steps of the difference.
func windowDifferences() []differenceCase {
	r := seeded(7)
	var cases []differenceCase
	for _, s := range []ir.Shape{{2, 3, 7, 9}, {1, 16, 6, 4}} {
		for i, a := range pools {
			distinct := reference.Zeros(s)
			for at, rank := range r.Perm(len(distinct.Data)) {
				distinct.Data[at] = float64(rank)
			}
			cases = append(cases, differenceCase{
				name: fmt.Sprintf("max_pool_%d_%v", i, s), forward: ir.MaxPool{PoolAttr: a},
				in: []reference.Tensor{distinct}, step: 0.25, tolerance: 1e-3,
				backward: func(g *ir.Graph, dy *ir.Value, in, out []*ir.Value) map[int]*ir.Value {
					return map[int]*ir.Value{0: g.One("dx", ir.MaxPoolGrad{PoolAttr: a}, dy, in[0], out[0])}
				},
			})
			avg := ir.AvgPool{PoolAttr: a, CountPad: i%2 == 0}
			cases = append(cases, differenceCase{
				name: fmt.Sprintf("avg_pool_%d_%v", i, s), forward: avg,
				in: []reference.Tensor{r.normal(0, 1, s...)}, step: 0.5, tolerance: 1e-5,
				backward: func(g *ir.Graph, dy *ir.Value, _, _ []*ir.Value) map[int]*ir.Value {
					return map[int]*ir.Value{0: g.One("dx", ir.AvgPoolGrad{AvgPool: avg, Input: [2]int{s[2], s[3]}}, dy)}
				},
			})
		}
	}
	return cases
}

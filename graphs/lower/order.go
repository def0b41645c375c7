package lower

import (
	"container/heap"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// # The order of a file and the order of execution
//
// The forms emit nodes in the order in which they should run: a gradient's
// mask just before it is used, a weight's gradient as soon as the gradient of
// its layer's output is there, so that activations and gradients die early.
//
// ONNX Runtime runs nodes in an order of its own. It walks depth first from
// the nodes whose outputs nobody reads, the last of the file before the
// others, and below a node it visits the producers of its inputs from the
// last in the file to the first; a node runs when all its inputs have. What
// stands late in the file therefore runs early, as far as the data allow:
// written in the order of emission, every mask of the network is computed
// before the first gradient, and every weight's gradient after the last one.
//
// So the nodes are written in the topological order that is most contrary to
// the order wanted: of the nodes whose inputs are written, always the one
// that should run last comes next. Between two nodes that do not depend on
// each other, the walk then meets the one to run first first.

// runtimeOrder rearranges nodes, given in the order in which they should run,
// into the order in which to write them.
func runtimeOrder(nodes []*onnx.NodeProto) []*onnx.NodeProto {
	producer := map[string]int{}
	for i, n := range nodes {
		for _, out := range n.Output {
			producer[out] = i
		}
	}
	readers := make([][]int, len(nodes))
	missing := make([]int, len(nodes))
	for i, n := range nodes {
		for _, in := range n.Input {
			if p, ok := producer[in]; ok && in != "" {
				readers[p] = append(readers[p], i)
				missing[i]++
			}
		}
	}
	ready := &latest{}
	for i := range nodes {
		if missing[i] == 0 {
			heap.Push(ready, i)
		}
	}
	ordered := make([]*onnx.NodeProto, 0, len(nodes))
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int)
		ordered = append(ordered, nodes[i])
		for _, r := range readers[i] {
			if missing[r]--; missing[r] == 0 {
				heap.Push(ready, r)
			}
		}
	}
	return ordered
}

// latest is a heap of positions, the largest on top.
type latest []int

func (l latest) Len() int           { return len(l) }
func (l latest) Less(i, j int) bool { return l[i] > l[j] }
func (l latest) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *latest) Push(x any)        { *l = append(*l, x.(int)) }
func (l *latest) Pop() any {
	old := *l
	x := old[len(old)-1]
	*l = old[:len(old)-1]
	return x
}

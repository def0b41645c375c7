package lower

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// execution returns the order in which ONNX Runtime runs the nodes of a file
// (Graph::ReverseDFSFrom over the leaves, nodes compared by their index).
func execution(nodes []*onnx.NodeProto) []string {
	producer := map[string]int{}
	read := map[string]bool{}
	for i, n := range nodes {
		for _, out := range n.Output {
			producer[out] = i
		}
		for _, in := range n.Input {
			read[in] = true
		}
	}
	type entry struct {
		node  int
		leave bool
	}
	var stack []entry
	for i, n := range nodes {
		if !slices.ContainsFunc(n.Output, func(o string) bool { return read[o] }) {
			stack = append(stack, entry{node: i})
		}
	}
	var order []string
	visited := map[int]bool{}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if top.leave {
			order = append(order, nodes[top.node].Name)
			continue
		}
		if visited[top.node] {
			continue
		}
		visited[top.node] = true
		stack = append(stack, entry{top.node, true})
		var inputs []int
		for _, in := range nodes[top.node].Input {
			if p, ok := producer[in]; ok && !slices.Contains(inputs, p) {
				inputs = append(inputs, p)
			}
		}
		slices.Sort(inputs)
		for _, p := range inputs {
			stack = append(stack, entry{node: p})
		}
	}
	return order
}

func node(name string, in ...string) *onnx.NodeProto {
	return &onnx.NodeProto{Name: name, Input: in, Output: []string{name}}
}

func names(nodes []*onnx.NodeProto) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.Name)
	}
	return out
}

// The skeleton of a training step: forward, then backward with a mask and a
// weight gradient a layer, then one update.
func TestRuntimeOrderRunsMasksAndWeightGradientsInTime(t *testing.T) {
	step := []*onnx.NodeProto{
		node("y1", "x"), node("y2", "y1"), node("y3", "y2"), node("loss", "y3"),
		node("g3", "loss"),
		node("mask3", "y3"), node("h3", "g3", "mask3"), node("dw3", "h3", "y2"), node("g2", "h3"),
		node("mask2", "y2"), node("h2", "g2", "mask2"), node("dw2", "h2", "y1"), node("g1", "h2"),
		node("mask1", "y1"), node("h1", "g1", "mask1"), node("dw1", "h1", "x"),
		node("flat", "dw1", "dw2", "dw3"), node("update", "flat", "params"),
	}
	if written := execution(step); slices.Equal(written, names(step)) {
		t.Fatal("the order of emission already runs as it should: the test shows nothing")
	}
	got := execution(runtimeOrder(step))
	if !slices.Equal(got, names(step)) {
		t.Errorf("runs as %v\nwant    %v", got, names(step))
	}
}

// Whatever the graph, the result is a topological order of the same nodes.
func TestRuntimeOrderIsTopological(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var nodes []*onnx.NodeProto
		for i := range 40 {
			var in []string
			for range r.IntN(4) {
				if i > 0 {
					in = append(in, nodes[r.IntN(i)].Name)
				}
			}
			nodes = append(nodes, node(string(rune('A'+i)), in...))
		}
		seen := map[string]bool{}
		ordered := runtimeOrder(nodes)
		for _, n := range ordered {
			for _, in := range n.Input {
				if !seen[in] {
					t.Fatalf("%s stands before its input %s", n.Name, in)
				}
			}
			seen[n.Name] = true
		}
		if len(seen) != len(nodes) {
			t.Fatalf("%d of %d nodes are left", len(seen), len(nodes))
		}
	}
}

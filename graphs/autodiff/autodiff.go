// Package autodiff differentiates ir graphs in reverse mode.
//
// # Glossary
//
// The adjoint of a value v is ∂loss/∂v, a value of the same shape. A rule is
// the function that, given a node and the adjoints of its outputs, appends
// nodes computing the adjoints of its inputs.
//
// # How it works
//
// Gradients walks the nodes backwards from the loss. Because the graph is
// append-only, its order is topological: when a node is reached, every node
// that reads its outputs has been handled already, so the adjoints of those
// outputs are complete. Where a value is read more than once its adjoint is
// the sum of the contributions, added pairwise in the order they arise.
//
// Two invariants keep the backward graph small. A node is visited only if its
// outputs depend on something that is asked for and influence the loss; and a
// rule is told which inputs need an adjoint, so that the stem never computes a
// gradient for the images.
//
// Rules emit training primitives (ir.ConvGradWeight, ir.BatchNormGrad…) and
// never think of kernels: choosing how a primitive is computed is lowering's
// work.
package autodiff

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
)

// Context is what a rule works with.
type Context struct {
	G    *ir.Graph
	Node *ir.Node
	// Out holds the adjoints of the node's outputs; nil where none reaches it.
	Out []*ir.Value
	// Need tells which inputs want an adjoint.
	Need []bool

	err error
}

// Fail reports that the rule cannot differentiate what is asked of it.
func (c *Context) Fail(format string, args ...any) []*ir.Value {
	c.err = fmt.Errorf(format, args...)
	return nil
}

// Name makes a node name for the gradient of input i.
func (c *Context) Name(i int) string {
	return fmt.Sprintf("grad.%s.%d", c.Node.Name, i)
}

// Rule appends the adjoints of a node's inputs; entries that are not needed,
// or are zero everywhere, may be nil.
type Rule func(c *Context) []*ir.Value

var rules = map[string]Rule{}

// Register sets the rule of an operator kind.
func Register(kind string, r Rule) {
	if rules[kind] != nil {
		panic(fmt.Sprintf("autodiff: %s has two rules", kind))
	}
	rules[kind] = r
}

// Differentiable reports whether an operator kind has a rule.
func Differentiable(kind string) bool { return rules[kind] != nil }

// Gradients appends to g the gradients of the scalar loss with respect to each
// of wrt and returns them in order. seed is the adjoint of the loss, a scalar
// (nil means 1). A wrt value that does not influence the loss gets a constant
// of zeros. An operator on the way without a rule is an error naming its node.
func Gradients(g *ir.Graph, loss, seed *ir.Value, wrt []*ir.Value) ([]*ir.Value, error) {
	if len(loss.Shape) != 0 {
		return nil, fmt.Errorf("autodiff: the loss must be a scalar, %q is %v", loss.Name, loss.Shape)
	}
	if seed == nil {
		seed = g.Scalar(1)
	}
	wanted := dependants(g, wrt)
	if !wanted[loss] {
		return nil, fmt.Errorf("autodiff: the loss %q depends on none of the %d values asked for", loss.Name, len(wrt))
	}
	adjoint := map[*ir.Value]*ir.Value{loss: seed}
	// The rules append to g.Nodes; only the nodes present now are forward.
	forward := g.Nodes[:len(g.Nodes):len(g.Nodes)]
	for i := len(forward) - 1; i >= 0; i-- {
		n := forward[i]
		c := &Context{G: g, Node: n, Out: make([]*ir.Value, len(n.Out)), Need: make([]bool, len(n.In))}
		reached, needed := false, false
		for j, v := range n.Out {
			c.Out[j] = adjoint[v]
			reached = reached || c.Out[j] != nil
		}
		for j, v := range n.In {
			c.Need[j] = wanted[v]
			needed = needed || c.Need[j]
		}
		if !reached || !needed {
			continue
		}
		rule := rules[n.Op.Kind()]
		if rule == nil {
			return nil, fmt.Errorf("autodiff: node %q: operator %s has no gradient", n.Name, n.Op.Kind())
		}
		adjoints := rule(c)
		if c.err != nil {
			return nil, fmt.Errorf("autodiff: node %q (%s): %w", n.Name, n.Op.Kind(), c.err)
		}
		for j, d := range adjoints {
			if d == nil || !c.Need[j] {
				continue
			}
			v := n.In[j]
			if !d.Shape.Equal(v.Shape) {
				panic(fmt.Sprintf("autodiff: node %q (%s): gradient %v of input %d, which is %v", n.Name, n.Op.Kind(), d.Shape, j, v.Shape))
			}
			if have := adjoint[v]; have != nil {
				d = g.One("grad."+v.Name+".sum", ir.Binary{F: ir.Add}, have, d)
			}
			adjoint[v] = d
		}
	}
	grads := make([]*ir.Value, len(wrt))
	for i, v := range wrt {
		if grads[i] = adjoint[v]; grads[i] == nil {
			grads[i] = g.Const("grad."+v.Name+".zero", v.Shape, make([]float32, v.Shape.Size()))
		}
	}
	return grads, nil
}

// dependants marks every value that is, or is computed from, one of roots.
func dependants(g *ir.Graph, roots []*ir.Value) map[*ir.Value]bool {
	m := make(map[*ir.Value]bool)
	for _, v := range roots {
		m[v] = true
	}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if m[v] {
				for _, o := range n.Out {
					m[o] = true
				}
				break
			}
		}
	}
	return m
}

package lower

import (
	"reflect"

	"github.com/ortrain/ortrain/graphs/ir"
)

// fuse finds the patterns that are emitted together, in place of their last
// node:
//
//	BatchNormTrain → Relu
//	BatchNormTrain → Add → Relu
//	BatchNormTrain → Add
//
// The normalised map and the sum are then never stored. That is possible only
// where nothing else reads them; the backward pass needs the norm's input and
// the output of Relu, not what lies between.
func (e *Emitter) fuse() {
	for _, n := range e.g.Nodes {
		if _, ok := n.Op.(ir.BatchNormTrain); ok && e.opts.Forms[n.Op.Kind()] == "" {
			e.fuseNorm(n)
		}
	}
}

func (e *Emitter) fuseNorm(norm *ir.Node) {
	chain := []*ir.Node{norm}
	y := norm.Out[0]
	var z *ir.Value
	if add := e.soleReader(y, ir.Binary{F: ir.Add}); add != nil {
		other := add.In[0]
		if other == y {
			other = add.In[1]
		}
		if other.Shape.Equal(y.Shape) {
			z, y = other, add.Out[0]
			chain = append(chain, add)
		}
	}
	relu := e.soleReader(y, ir.Unary{F: ir.Relu})
	if relu != nil {
		y = relu.Out[0]
		chain = append(chain, relu)
	}
	last := len(chain) - 1
	if last == 0 {
		return
	}
	for _, n := range chain[:last] {
		e.skip[n] = true
	}
	e.fused[chain[last]] = func() {
		e.current = norm
		a, b := e.batchStatistics(norm, fromConv(norm.In[0]))
		zn := ""
		if z != nil {
			zn = e.in(z)
		}
		e.affine(e.in(norm.In[0]), a, b, zn, relu != nil, norm.In[0].Shape, e.out(y))
	}
}

// soleReader returns the node that applies op to v if that is the only use of
// v and no other fusion has claimed the node; else nil.
func (e *Emitter) soleReader(v *ir.Value, op ir.Op) *ir.Node {
	if !e.onlyUse(v) {
		return nil
	}
	n := e.uses[v][0]
	if e.skip[n] || e.fused[n] != nil || !reflect.DeepEqual(n.Op, op) {
		return nil
	}
	return n
}

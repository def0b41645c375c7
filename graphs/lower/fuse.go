package lower

import (
	"reflect"

	"github.com/ortrain/ortrain/graphs/ir"
)

// fuse finds the patterns that are emitted together, the result in place of
// their last node:
//
//	BatchNormTrain → Relu
//	BatchNormTrain → Add → Relu
//	BatchNormTrain → Add
//	ConvGradInput → Add         (on blocks)
//
// and, with the kernel library, those of kernels.go or, for CUDA,
// cuda_kernels.go.
//
// The normalised map and the sum are then never stored. That is possible only
// where nothing else reads them; the backward pass needs the norm's input and
// the output of Relu, not what lies between.
func (e *Emitter) fuse() {
	for _, n := range e.g.Nodes {
		if e.opts.Forms[n.Op.Kind()] != "" {
			continue
		}
		if e.channelsLast() {
			e.fuseLast(n)
			continue
		}
		switch n.Op.(type) {
		case ir.BatchNormTrain:
			e.fuseNorm(n)
		case ir.Conv:
			e.fuseConvSum(n)
		case ir.ConvGradInput:
			if e.fuseGradChain(n); !e.skip[n] {
				e.fuseGradSum(n)
			}
		}
	}
	e.fuseFlat()
}

func (e *Emitter) fuseNorm(norm *ir.Node) {
	chain := []*ir.Node{norm}
	y := norm.Out[0]
	var z *ir.Value
	if add := e.soleReader(y, ir.Binary{F: ir.Add}); add != nil {
		if other := otherInput(add, y); other.Shape.Equal(y.Shape) {
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
	for _, n := range chain[1:last] {
		e.skip[n] = true
	}
	// The statistics may be read before the chain's end.
	var t terms
	e.fused[norm] = func() {
		e.current = norm
		t = e.normTerms(norm)
	}
	e.fused[chain[last]] = func() {
		e.current = norm
		e.apply(norm, t, z, relu != nil, y)
	}
}

// fuseGradSum adds a gradient that has arrived by another way within the
// convolution that computes the input gradient on blocks.
func (e *Emitter) fuseGradSum(grad *ir.Node) {
	add := e.soleReader(grad.Out[0], ir.Binary{F: ir.Add})
	if add == nil {
		return
	}
	other := otherInput(add, grad.Out[0])
	op := grad.Op.(ir.ConvGradInput)
	if _, ok := flippedPad(op, grad.In[1].Shape); !ok || !e.gradBlocked(grad) || !other.Shape.Equal(grad.Out[0].Shape) {
		return
	}
	e.skip[grad] = true
	e.fused[add] = func() {
		e.current = grad
		e.convFlippedBlocked(grad, other, add.Out[0])
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

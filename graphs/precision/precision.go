// Package precision puts graphs into mixed precision (Micikevicius et al. 2018,
// "Mixed Precision Training"): convolutions and matrix products in float16, and
// float32 where numbers are small, large or many.
//
// # How it decides
//
// Every operator is of one of four classes, as in PyTorch's autocast:
//
//   - heavy ones, convolutions and products and their gradients, compute in
//     float16 whatever they are given;
//   - followers, element-wise functions, pooling and whatever moves data,
//     compute in float16 if that is what they are given, so that nothing is cast
//     between two convolutions;
//   - norms take and return maps of either type; their scale, shift and
//     statistics stay float32, and so does their arithmetic;
//   - all others compute in float32: losses, softmax, exponentials, and sums,
//     which add float16 numbers up in float32.
//
// Parameters and random draws are float32 and do not make a follower one of
// float32: they are cast.
//
// The pass works on the forward and backward graph together, after autodiff: a
// gradient then needs no rule of its own for types, and the gradient of a
// weight, a sum over the batch, leaves its product in float32.
package precision

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
)

var heavy = []string{"Conv", "ConvGradInput", "ConvGradWeight", "MatMul", "Gemm", "BatchMatMul"}

var followers = []string{
	"Add", "Sub", "Mul", "Max", "Min", "Neg", "Abs", "Sign",
	"Relu", "Tanh", "Sigmoid", "Silu", "HardSwish", "HardSigmoid", "Gelu", "GeluTanh", "Erf", "Clip",
	"ReluGrad", "TanhGrad", "SigmoidGrad", "SiluGrad", "HardSwishGrad", "HardSigmoidGrad", "GeluGrad", "GeluTanhGrad",
	"ErfGrad", "ClipGrad", "Shake",
	"MaxPool", "MaxPoolGrad", "AvgPool", "AvgPoolGrad", "GlobalAvgPool", "GlobalAvgPoolGrad",
	"Reshape", "Transpose", "Expand", "Slice", "SliceGrad", "Pad", "Concat", "Split",
}

// norms maps a norm to how many of its first inputs are maps; the last of them
// tells the type.
var norms = map[string]int{"BatchNormTrain": 1, "BatchNormInfer": 1, "BatchNormGrad": 2}

// Mixed puts all nodes of g into mixed precision, in place, and returns keep in
// float32: values, such as gradients and logits, that are needed so. free are
// the values besides constants that are cast where float16 is wanted, parameters
// and random draws.
func Mixed(g *ir.Graph, free, keep []*ir.Value) ([]*ir.Value, error) {
	p := pass{free: map[*ir.Value]bool{}, keep: keep}
	for _, v := range free {
		p.free[v] = true
	}
	if err := g.Retype(p.want); err != nil {
		return nil, err
	}
	out := slices.Clone(keep)
	for i, v := range out {
		if v.DType == ir.Float16 {
			out[i] = g.One(v.Name+".float32", ir.Cast{To: ir.Float32}, v)
		}
	}
	return out, nil
}

type pass struct {
	free map[*ir.Value]bool
	keep []*ir.Value
}

// want tells the types of a node's inputs.
func (p pass) want(n *ir.Node) []ir.DType {
	types := make([]ir.DType, len(n.In))
	kind := n.Op.Kind()
	wanted, maps := ir.Float32, len(n.In)
	switch {
	case slices.Contains(heavy, kind):
		wanted = ir.Float16
	case p.allFree(n):
		for _, v := range n.Out {
			p.free[v] = true
		}
	case kind == "Sum":
		wanted = n.In[0].DType
	case norms[kind] > 0:
		maps = norms[kind]
		wanted = n.In[maps-1].DType
	case slices.Contains(followers, kind) && p.follows(n):
		wanted = ir.Float16
	}
	for i, v := range n.In {
		switch {
		case v.DType != ir.Float32 && v.DType != ir.Float16:
			types[i] = v.DType
		case i < maps:
			types[i] = wanted
		}
	}
	return types
}

// isFree reports whether a value's own type does not matter.
func (p pass) isFree(v *ir.Value) bool { return v.IsConst() || p.free[v] }

func (p pass) allFree(n *ir.Node) bool {
	return !slices.ContainsFunc(n.In, func(v *ir.Value) bool { return !p.isFree(v) })
}

// follows reports whether all that a node reads, but for what is free, is
// float16.
func (p pass) follows(n *ir.Node) bool {
	return !slices.ContainsFunc(n.In, func(v *ir.Value) bool {
		return !p.isFree(v) && (v.DType != ir.Float16 || slices.Contains(p.keep, v))
	})
}

// Package nn builds the forward graphs of networks out of ir operators: layers
// that declare their parameters by name, in training or in inference form.
//
// A model is a function of a Builder. It runs more than once: first on a
// scratch graph to learn which parameters and statistics it declares, then on
// the graphs of the artifacts, where the same declarations are answered with
// slices of the flat state vectors or with initializers.
package nn

import (
	"fmt"
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
)

// Tensor declares a parameter or a running statistic.
type Tensor struct {
	Name  string
	Shape ir.Shape
	Init  ir.Init
	// Norm and Bias classify a parameter: what weight decay may leave out.
	Norm, Bias bool
}

// Source answers declarations with values of the graph being built.
type Source interface {
	Param(t Tensor) *ir.Value
	Stat(t Tensor) *ir.Value
	Random(r Random) *ir.Value
}

// Random declares numbers that are drawn anew for every step and fed to it:
// the graph itself draws nothing, so a step is a function of its inputs.
type Random struct {
	Name  string
	Shape ir.Shape
	// Keep, in (0,1), asks for 1/Keep with probability Keep and 0 otherwise,
	// so that the mean is 1. With Keep 0 the numbers are uniform in [0,1).
	Keep float64
}

// StatUpdate asks for a running statistic to be moved towards a batch's value:
// running ← (1−m)·running + m·Scale·Batch.
type StatUpdate struct {
	Name  string
	Batch *ir.Value
	Scale float32
}

// Auxiliary is a classifier within the network that only training has: the loss
// of its logits N×K on the targets, times Weight, is added to the network's.
type Auxiliary struct {
	Logits *ir.Value
	Weight float32
}

// Builder builds one graph. The zero value is not usable: G and Source must
// be set.
type Builder struct {
	G      *ir.Graph
	Source Source
	// Training selects batch statistics and records StatUpdates.
	Training bool
	// FixedNorm, if set, tells by the name of its scale which batch norm keeps
	// to its running statistics in training.
	FixedNorm func(scale string) bool
	// Init fills the weights of convolutions and linear layers.
	Init Initialiser
	// ZeroGamma starts the last norm of each residual branch at zero.
	ZeroGamma bool
	// Auxiliary lists the further classifiers whose losses join the training
	// loss; none while not training.
	Auxiliary []Auxiliary
	// StatUpdates lists what the training graph has to do to the running
	// statistics, in the order of their declaration.
	StatUpdates []StatUpdate
	// Norms lists the batch norms, in order.
	Norms []NormNames
}

// Epsilon is the constant of batch normalisation, PyTorch's default.
const Epsilon = 1e-5

// Conv declares NAME.weight (out × in/groups × k × k, filled by b.Init, no
// bias) and applies it.
func (b *Builder) Conv(name string, x *ir.Value, out, k int, attr ir.ConvAttr) *ir.Value {
	return b.G.One(name, ir.Conv{ConvAttr: attr}, x, b.filters(name, x, out, [2]int{k, k}, attr.Groups))
}

// ConvRect is Conv with kernels of any height and width.
func (b *Builder) ConvRect(name string, x *ir.Value, out int, kernel [2]int, attr ir.ConvAttr) *ir.Value {
	return b.G.One(name, ir.Conv{ConvAttr: attr}, x, b.filters(name, x, out, kernel, attr.Groups))
}

func (b *Builder) filters(name string, x *ir.Value, out int, kernel [2]int, groups int) *ir.Value {
	taps := kernel[0] * kernel[1]
	return b.Source.Param(Tensor{
		Name:  name + ".weight",
		Shape: ir.Shape{out, x.Shape[1] / groups, kernel[0], kernel[1]},
		Init:  b.Init.weights(x.Shape[1]/groups*taps, out/groups*taps),
	})
}

// BatchNorm declares NAME.weight (γ), NAME.bias (β), NAME.running_mean and
// NAME.running_var, each [C], and normalises x N×C×H×W.
func (b *Builder) BatchNorm(name string, x *ir.Value) *ir.Value {
	return b.batchNorm(name, x, ir.InitOnes)
}

// LastBatchNorm is BatchNorm for the norm that ends a residual branch: with
// ZeroGamma its γ starts at zero, so that the block starts as the identity
// (Goyal et al. 2017, §5.1).
func (b *Builder) LastBatchNorm(name string, x *ir.Value) *ir.Value {
	if b.ZeroGamma {
		return b.batchNorm(name, x, ir.InitZeros)
	}
	return b.BatchNorm(name, x)
}

func (b *Builder) batchNorm(name string, x *ir.Value, gamma ir.InitKind) *ir.Value {
	c := ir.Shape{x.Shape[1]}
	return b.Norm(name, x, Epsilon, [4]Tensor{
		{Name: name + ".weight", Shape: c, Init: ir.Init{Kind: gamma}, Norm: true},
		{Name: name + ".bias", Shape: c, Init: ir.Init{Kind: ir.InitZeros}, Norm: true, Bias: true},
		{Name: name + ".running_mean", Shape: c, Init: ir.Init{Kind: ir.InitZeros}},
		{Name: name + ".running_var", Shape: c, Init: ir.Init{Kind: ir.InitOnes}},
	})
}

// Norm declares the scale γ, shift β, running mean and running variance of a
// batch norm, each [C], and normalises x N×C×H×W. In training the statistics
// are the batch's, unless FixedNorm says that the norm keeps its running ones.
func (b *Builder) Norm(name string, x *ir.Value, eps float32, ts [4]Tensor) *ir.Value {
	b.Norms = append(b.Norms, NormNames{ts[0].Name, ts[2].Name, ts[3].Name})
	scale, shift := b.Source.Param(ts[0]), b.Source.Param(ts[1])
	mean, variance := b.Source.Stat(ts[2]), b.Source.Stat(ts[3])
	if !b.Training || b.FixedNorm != nil && b.FixedNorm(ts[0].Name) {
		return b.G.One(name, ir.BatchNormInfer{Eps: eps}, x, scale, shift, mean, variance)
	}
	out := b.G.Apply(name, ir.BatchNormTrain{Eps: eps}, x, scale, shift)
	// The batch's variance is biased; the running one is the unbiased
	// estimate, as in PyTorch. A single element has no unbiased variance.
	unbias := float32(1)
	if n := x.Shape.Size() / x.Shape[1]; n > 1 {
		unbias = float32(n) / float32(n-1)
	}
	b.StatUpdates = append(b.StatUpdates,
		StatUpdate{ts[2].Name, out[1], 1},
		StatUpdate{ts[3].Name, out[2], unbias})
	return out[0]
}

// Dropout zeroes each element of x with probability p while training and
// scales the others by 1/(1−p) (Srivastava et al. 2014, in the inverted form).
func (b *Builder) Dropout(name string, x *ir.Value, p float64) *ir.Value {
	if !b.Training || p == 0 {
		return x
	}
	mask := b.Source.Random(Random{Name: name, Shape: x.Shape, Keep: 1 - p})
	return b.G.One(name, ir.Binary{F: ir.Mul}, x, mask)
}

// DropPath zeroes the whole branch x of an image with probability p while
// training and scales the others by 1/(1−p): stochastic depth (Huang et al.
// 2016), one draw per image and branch.
func (b *Builder) DropPath(name string, x *ir.Value, p float64) *ir.Value {
	if !b.Training || p == 0 {
		return x
	}
	shape := make(ir.Shape, len(x.Shape))
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = x.Shape[0]
	mask := b.Source.Random(Random{Name: name, Shape: shape, Keep: 1 - p})
	return b.G.One(name, ir.Binary{F: ir.Mul}, x, mask)
}

// Relu is the rectifier.
func (b *Builder) Relu(name string, x *ir.Value) *ir.Value {
	return b.G.One(name, ir.Unary{F: ir.Relu}, x)
}

// Add is the sum of two values of one shape, or one that broadcasts.
func (b *Builder) Add(name string, x, y *ir.Value) *ir.Value {
	return b.G.One(name, ir.Binary{F: ir.Add}, x, y)
}

// Linear declares NAME.weight (out × in), filled by b.Init, or where that is
// HeFanOut, which few classes would make far too large, from U(−1/√in, 1/√in) as
// torchvision's networks do, and NAME.bias [out], drawn from U(−1/√in, 1/√in) as PyTorch's Linear does, and returns
// x·weightᵀ + bias for x N×in.
func (b *Builder) Linear(name string, x *ir.Value, out int) *ir.Value {
	if len(x.Shape) != 2 {
		panic(fmt.Sprintf("nn: linear %q takes a matrix, have %v", name, x.Shape))
	}
	in := x.Shape[1]
	small := ir.Init{Kind: ir.InitUniform, Bound: 1 / math.Sqrt(float64(in))}
	init := b.Init.weights(in, out)
	if b.Init == HeFanOut || b.Init == "" {
		init = small
	}
	w := b.Source.Param(Tensor{Name: name + ".weight", Shape: ir.Shape{out, in}, Init: init})
	bias := b.Source.Param(Tensor{Name: name + ".bias", Shape: ir.Shape{out}, Bias: true, Init: small})
	y := b.G.One(name+".matmul", ir.MatMul{TransB: true}, x, w)
	return b.G.One(name, ir.Binary{F: ir.Add}, y, bias)
}

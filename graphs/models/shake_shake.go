package models

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

// Shake-Shake networks (Gastaldi 2017): residual networks for small images of
// depth 26 with two branches of width d in the first stage, mixed by factors
// that are drawn for every image and pass.
//
// As in the author's code there is no activation behind the stem, a branch is
// relu-conv-norm-relu-conv-norm, and where the width changes the shortcut joins
// two 1×1 convolutions of half the channels, one of every stride-th pixel and
// one of those of the map moved a pixel to the right and down. (PyTorch's ports
// move it to the left and up, and some add an activation behind the stem.)

func init() {
	for _, width := range []int{32, 64, 96, 112} {
		Register(&Model{
			Name:        fmt.Sprintf("shake26_2x%dd", width),
			Description: fmt.Sprintf("Shake-Shake 26 2×%dd for small images: 3 stages of 4 two-branch blocks, %d-%d-%d channels", width, width, 2*width, 4*width),
			Source:      "Gastaldi 2017, arXiv 1705.07485",
			MinInput:    4,
			Options: []Option{
				{Name: "shake", Values: nn.Shakes(), Help: "how the branches are mixed, forward and backward: drawn (shake), as forward (keep) or by halves (even), for each image or batch"},
				{Name: "init", Values: fanOutFirst(), Help: "how the weights are filled"},
				{Name: "dropout", Help: "share of the pooled features dropped before the linear layer, 0 to 1"},
			},
			Forward: func(b *nn.Builder, x *ir.Value, c Config) *ir.Value {
				return shakeShake(b, x, c, 4, width)
			},
		})
	}
}

func shakeShake(b *nn.Builder, x *ir.Value, c Config, n, width int) *ir.Value {
	b.Init = nn.Initialiser(c.Options["init"])
	mode := nn.Shake(c.Options["shake"])
	x = b.Conv("conv1", x, 16, 3, ir.Window(1, 1))
	x = b.BatchNorm("bn1", x)
	for stage := range 3 {
		for i := range n {
			stride := 1
			if stage > 0 && i == 0 {
				stride = 2
			}
			x = shakeBlock(b, fmt.Sprintf("layer%d.%d", stage+1, i), x, width<<stage, stride, mode)
		}
	}
	x = b.Relu("relu", x)
	x = b.G.One("pool", ir.GlobalAvgPool{}, x)
	x = b.Dropout("dropout", x, c.Number("dropout"))
	return b.Linear("linear", x, c.Classes)
}

func shakeBlock(b *nn.Builder, name string, x *ir.Value, out, stride int, mode nn.Shake) *ir.Value {
	active := b.Relu(name+".relu", x)
	branch := func(name string) *ir.Value {
		y := b.Conv(name+".conv1", active, out, 3, ir.Window(stride, 1))
		y = b.Relu(name+".relu", b.BatchNorm(name+".bn1", y))
		return b.BatchNorm(name+".bn2", b.Conv(name+".conv2", y, out, 3, ir.Window(1, 1)))
	}
	y := b.ShakeShake(name+".shake", branch(name+".branch1"), branch(name+".branch2"), mode)
	short := x
	if x.Shape[1] != out {
		short = shakeShortcut(b, name+".shortcut", active, out, stride)
	}
	return b.Add(name+".add", y, short)
}

func shakeShortcut(b *nn.Builder, name string, x *ir.Value, out, stride int) *ir.Value {
	one := b.Conv(name+".conv1", x, out/2, 1, ir.Window(stride, 0))
	// The map moved right and down: what leaves it is cut off, and zeros come in
	// as the convolution's padding.
	s := x.Shape
	cut := ir.Range(s, 2, 0, s[2]-1)
	cut.Size[3] = s[3] - 1
	moved := b.G.One(name+".cut", cut, x)
	a := ir.Window(stride, 0)
	a.Pad[0], a.Pad[1] = 1, 1
	two := b.Conv(name+".conv2", moved, out-out/2, 1, a)
	return b.BatchNorm(name+".bn", b.G.One(name+".join", ir.Concat{Axis: 1}, one, two))
}

package models

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

// The residual networks for small images of He et al. 2015 ("Deep Residual
// Learning for Image Recognition", §4.2): a 3×3 stem of 16 channels, three
// stages of n basic blocks with 16, 32 and 64 channels, the second and third
// at half the resolution, global average pooling and one linear layer;
// depth 6n+2. The pre-activation form is He et al. 2016 ("Identity Mappings in
// Deep Residual Networks").
//
// Parameter names are those of the widespread PyTorch port (layer1.0.conv1.weight),
// so that weights carry over by name.

func init() {
	for _, depth := range []int{8, 20, 32, 44, 56, 110, 1202} {
		n := (depth - 2) / 6
		Register(&Model{
			Name:        fmt.Sprintf("resnet%d", depth),
			Description: fmt.Sprintf("ResNet-%d for small images: 3 stages of %d basic blocks, 16-32-64 channels", depth, n),
			Source:      "He et al. 2015, arXiv 1512.03385, §4.2",
			MinInput:    4,
			Options: []Option{
				{"shortcut", []string{"A", "B"}, "where the shape changes: A pads with zeros, B projects by a 1×1 convolution"},
				{"preact", []string{"false", "true"}, "norm and activation before each convolution (He et al. 2016)"},
				{"zero_gamma", []string{"false", "true"}, "start the last norm of each block at zero"},
				{"init", nn.Initialisers(), "how the weights are filled"},
				{"dropout", nil, "share of the pooled features dropped before the linear layer, 0 to 1"},
				{"stochastic_depth", nil, "share of images that skip the last block, growing linearly from the first, 0 to 1"},
			},
			Forward: func(b *nn.Builder, x *ir.Value, c Config) *ir.Value {
				return resnetSmall(b, x, c, n)
			},
		})
	}
}

func resnetSmall(b *nn.Builder, x *ir.Value, c Config, n int) *ir.Value {
	preact := c.Options["preact"] == "true"
	project := c.Options["shortcut"] == "B"
	b.ZeroGamma = c.Options["zero_gamma"] == "true"
	b.Init = nn.Initialiser(c.Options["init"])

	x = b.Conv("conv1", x, 16, 3, ir.Window(1, 1))
	if !preact {
		x = b.BatchNorm("bn1", x)
		x = b.Relu("relu1", x)
	}
	for stage := range 3 {
		for i := range n {
			name := fmt.Sprintf("layer%d.%d", stage+1, i)
			stride := 1
			if stage > 0 && i == 0 {
				stride = 2
			}
			// Huang et al. 2016, §3: the probability to drop grows linearly
			// with depth.
			drop := c.Number("stochastic_depth") * float64(stage*n+i+1) / float64(3*n)
			if preact {
				x = preactBlock(b, name, x, 16<<stage, stride, project, drop)
			} else {
				x = basicBlock(b, name, x, 16<<stage, stride, project, drop)
			}
		}
	}
	if preact {
		x = b.BatchNorm("bn", x)
		x = b.Relu("relu", x)
	}
	x = b.G.One("pool", ir.GlobalAvgPool{}, x)
	x = b.Dropout("dropout", x, c.Number("dropout"))
	return b.Linear("linear", x, c.Classes)
}

// basicBlock is conv-norm-relu-conv-norm, added to the shortcut, then relu.
func basicBlock(b *nn.Builder, name string, x *ir.Value, out, stride int, project bool, drop float64) *ir.Value {
	y := b.Conv(name+".conv1", x, out, 3, ir.Window(stride, 1))
	y = b.BatchNorm(name+".bn1", y)
	y = b.Relu(name+".relu1", y)
	y = b.Conv(name+".conv2", y, out, 3, ir.Window(1, 1))
	y = b.LastBatchNorm(name+".bn2", y)
	y = b.DropPath(name+".drop", y, drop)
	short := x
	if stride != 1 || x.Shape[1] != out {
		if project {
			short = b.Conv(name+".shortcut.0", x, out, 1, ir.Window(stride, 0))
			short = b.BatchNorm(name+".shortcut.1", short)
		} else {
			short = padShortcut(b, name, x, out, stride)
		}
	}
	y = b.Add(name+".add", y, short)
	return b.Relu(name+".relu2", y)
}

// preactBlock is norm-relu-conv-norm-relu-conv, added to the shortcut. Where
// the shape changes, the shortcut starts after the first activation.
func preactBlock(b *nn.Builder, name string, x *ir.Value, out, stride int, project bool, drop float64) *ir.Value {
	y := b.BatchNorm(name+".bn1", x)
	y = b.Relu(name+".relu1", y)
	short := x
	if stride != 1 || x.Shape[1] != out {
		if project {
			short = b.Conv(name+".shortcut.0", y, out, 1, ir.Window(stride, 0))
		} else {
			short = padShortcut(b, name, y, out, stride)
		}
	}
	y = b.Conv(name+".conv1", y, out, 3, ir.Window(stride, 1))
	y = b.LastBatchNorm(name+".bn2", y)
	y = b.Relu(name+".relu2", y)
	y = b.Conv(name+".conv2", y, out, 3, ir.Window(1, 1))
	y = b.DropPath(name+".drop", y, drop)
	return b.Add(name+".add", y, short)
}

// padShortcut is option A of He et al. 2015: every stride-th pixel, and zeros
// for the added channels, half before and half after.
func padShortcut(b *nn.Builder, name string, x *ir.Value, out, stride int) *ir.Value {
	if stride != 1 {
		x = b.G.One(name+".shortcut.slice", ir.Subsample(x.Shape, stride), x)
	}
	extra := out - x.Shape[1]
	before := extra / 2
	return b.G.One(name+".shortcut.pad", ir.Pad{
		Before: [ir.MaxRank]int{1: before}, After: [ir.MaxRank]int{1: extra - before}}, x)
}

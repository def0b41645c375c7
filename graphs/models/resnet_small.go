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
				{Name: "shortcut", Values: []string{"A", "B"}, Help: "where the shape changes: A pads with zeros, B projects by a 1×1 convolution"},
				{Name: "preact", Values: []string{"false", "true"}, Help: "norm and activation before each convolution (He et al. 2016)"},
				seOption,
				{Name: "zero_gamma", Values: []string{"false", "true"}, Help: "start the last norm of each block at zero"},
				{Name: "init", Values: nn.Initialisers(), Help: "how the weights are filled"},
				{Name: "dropout", Help: "share of the pooled features dropped before the linear layer, 0 to 1"},
				{Name: "stochastic_depth", Help: "share of images that skip the last block, growing linearly from the first, 0 to 1"},
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
			k := smallBlock{name: name, out: 16 << stage, stride: stride, project: project, se: c.On("se"), drop: drop}
			if preact {
				x = k.preact(b, x)
			} else {
				x = k.basic(b, x)
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

// smallBlock describes a block of the small networks. project takes a 1×1
// convolution where the shape changes, se gates the branch's channels.
type smallBlock struct {
	name        string
	out, stride int
	project, se bool
	drop        float64
}

// branch ends the residual branch.
func (k smallBlock) branch(b *nn.Builder, y *ir.Value) *ir.Value {
	if k.se {
		y = b.SqueezeExcite(k.name+".se", y, nn.Sixteenth(k.out))
	}
	return b.DropPath(k.name+".drop", y, k.drop)
}

// basic is conv-norm-relu-conv-norm, added to the shortcut, then relu.
func (k smallBlock) basic(b *nn.Builder, x *ir.Value) *ir.Value {
	name, out := k.name, k.out
	y := b.Conv(name+".conv1", x, out, 3, ir.Window(k.stride, 1))
	y = b.BatchNorm(name+".bn1", y)
	y = b.Relu(name+".relu1", y)
	y = b.Conv(name+".conv2", y, out, 3, ir.Window(1, 1))
	y = b.LastBatchNorm(name+".bn2", y)
	y = k.branch(b, y)
	short := x
	if k.stride != 1 || x.Shape[1] != out {
		if k.project {
			short = b.Conv(name+".shortcut.0", x, out, 1, ir.Window(k.stride, 0))
			short = b.BatchNorm(name+".shortcut.1", short)
		} else {
			short = padShortcut(b, name, x, out, k.stride)
		}
	}
	y = b.Add(name+".add", y, short)
	return b.Relu(name+".relu2", y)
}

// preact is norm-relu-conv-norm-relu-conv, added to the shortcut. Where the
// shape changes, the shortcut starts after the first activation.
func (k smallBlock) preact(b *nn.Builder, x *ir.Value) *ir.Value {
	name, out := k.name, k.out
	y := b.BatchNorm(name+".bn1", x)
	y = b.Relu(name+".relu1", y)
	short := x
	if k.stride != 1 || x.Shape[1] != out {
		if k.project {
			short = b.Conv(name+".shortcut.0", y, out, 1, ir.Window(k.stride, 0))
		} else {
			short = padShortcut(b, name, y, out, k.stride)
		}
	}
	y = b.Conv(name+".conv1", y, out, 3, ir.Window(k.stride, 1))
	y = b.LastBatchNorm(name+".bn2", y)
	y = b.Relu(name+".relu2", y)
	y = b.Conv(name+".conv2", y, out, 3, ir.Window(1, 1))
	y = k.branch(b, y)
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

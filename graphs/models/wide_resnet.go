package models

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

// Wide residual networks (Zagoruyko and Komodakis 2016): the pre-activation
// network for small images of depth 6n+4 whose three stages have k times as
// many channels, with projections by 1×1 convolutions and, as an option,
// dropout between the convolutions of a block.
//
// Parameter names are those of the small residual networks' pre-activation
// form (layer1.0.bn1.weight, layer1.0.shortcut.0.weight, linear.weight).

func init() {
	for _, w := range []struct{ depth, width int }{
		{10, 1}, {16, 2}, {16, 4}, {16, 8}, {22, 8}, {28, 2}, {28, 10}, {28, 12}, {40, 1}, {40, 2}, {40, 4}, {40, 8},
	} {
		n := (w.depth - 4) / 6
		Register(&Model{
			Name: fmt.Sprintf("wrn%d_%d", w.depth, w.width),
			Description: fmt.Sprintf("Wide ResNet %d-%d for small images: 3 stages of %d pre-activation blocks, %d-%d-%d channels",
				w.depth, w.width, n, 16*w.width, 32*w.width, 64*w.width),
			Source:   "Zagoruyko and Komodakis 2016, arXiv 1605.07146",
			MinInput: 4,
			Options: []Option{
				{Name: "dropout", Help: "share of the activations dropped between the convolutions of each block, 0 to 1"},
				{Name: "stochastic_depth", Help: "share of images that skip the last block, growing linearly from the first, 0 to 1"},
				{Name: "zero_gamma", Values: []string{"false", "true"}, Help: "start the last norm of each block at zero"},
				{Name: "init", Values: fanOutFirst(), Help: "how the weights are filled"},
			},
			Forward: func(b *nn.Builder, x *ir.Value, c Config) *ir.Value {
				return wideResNet(b, x, c, n, w.width)
			},
		})
	}
}

// fanOutFirst lists the initialisers with He's fan-out form as the default, the
// one of the original code of wide networks and of torchvision's ResNet.
func fanOutFirst() []string {
	names := []string{string(nn.HeFanOut)}
	for _, i := range nn.Initialisers() {
		if i != string(nn.HeFanOut) {
			names = append(names, i)
		}
	}
	return names
}

func wideResNet(b *nn.Builder, x *ir.Value, c Config, n, width int) *ir.Value {
	b.ZeroGamma = c.Options["zero_gamma"] == "true"
	b.Init = nn.Initialiser(c.Options["init"])
	x = b.Conv("conv1", x, 16, 3, ir.Window(1, 1))
	for stage := range 3 {
		for i := range n {
			stride := 1
			if stage > 0 && i == 0 {
				stride = 2
			}
			drop := c.Number("stochastic_depth") * float64(stage*n+i+1) / float64(3*n)
			x = wideBlock(b, fmt.Sprintf("layer%d.%d", stage+1, i), x, 16*width<<stage, stride, c.Number("dropout"), drop)
		}
	}
	x = b.BatchNorm("bn", x)
	x = b.Relu("relu", x)
	x = b.G.One("pool", ir.GlobalAvgPool{}, x)
	return b.Linear("linear", x, c.Classes)
}

// wideBlock is norm-relu-conv-norm-relu-dropout-conv, added to the shortcut;
// where the shape changes the shortcut is a 1×1 convolution of the first
// activation.
func wideBlock(b *nn.Builder, name string, x *ir.Value, out, stride int, dropout, drop float64) *ir.Value {
	y := b.BatchNorm(name+".bn1", x)
	y = b.Relu(name+".relu1", y)
	short := x
	if stride != 1 || x.Shape[1] != out {
		short = b.Conv(name+".shortcut.0", y, out, 1, ir.Window(stride, 0))
	}
	y = b.Conv(name+".conv1", y, out, 3, ir.Window(stride, 1))
	y = b.LastBatchNorm(name+".bn2", y)
	y = b.Relu(name+".relu2", y)
	y = b.Dropout(name+".dropout", y, dropout)
	y = b.Conv(name+".conv2", y, out, 3, ir.Window(1, 1))
	y = b.DropPath(name+".drop", y, drop)
	return b.Add(name+".add", y, short)
}

package models

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

// The residual networks for large images of He et al. 2015 (table 1): a stem,
// four stages of basic or bottleneck blocks with 64, 128, 256 and 512 channels
// (four times as many behind a bottleneck), each stage but the first at half
// the resolution, global average pooling and one linear layer.
//
// The variants are those of He et al. 2018 ("Bag of Tricks for Image
// Classification with Convolutional Neural Networks", §4.2): in A the first 1×1
// convolution of a bottleneck has the stride, as in the first paper; in B the
// 3×3 has it; C has B's blocks and three 3×3 convolutions for the stem's 7×7; D
// is C with an average pooling before an unstrided 1×1 in the shortcuts.
//
// Parameter names are torchvision's (conv1, bn1, layer1.0.downsample.0, fc),
// and timm's where torchvision has no such variant (conv1.0, conv1.1, …,
// layer2.0.downsample.1).

func init() {
	for _, r := range []struct {
		depth      int
		blocks     [4]int
		bottleneck bool
	}{
		{18, [4]int{2, 2, 2, 2}, false},
		{34, [4]int{3, 4, 6, 3}, false},
		{50, [4]int{3, 4, 6, 3}, true},
		{101, [4]int{3, 4, 23, 3}, true},
		{152, [4]int{3, 8, 36, 3}, true},
	} {
		kind := "basic"
		if r.bottleneck {
			kind = "bottleneck"
		}
		Register(&Model{
			Name: fmt.Sprintf("resnet%d", r.depth),
			Description: fmt.Sprintf("ResNet-%d: 4 stages of %d-%d-%d-%d %s blocks, stems for large and small images",
				r.depth, r.blocks[0], r.blocks[1], r.blocks[2], r.blocks[3], kind),
			Source:   "He et al. 2015, arXiv 1512.03385, table 1; variants: He et al. 2018, arXiv 1812.01187, §4.2",
			MinInput: 8,
			Options: []Option{
				{"variant", []string{"B", "A", "C", "D"}, "A strides in a bottleneck's first convolution, B in its 3×3; C is B with three 3×3 convolutions as stem, D is C with average pooling in the shortcuts"},
				{"stem", []string{"auto", "imagenet", "cifar"}, "imagenet quarters the resolution by a 7×7 convolution (3×3s in C and D) and max pooling, cifar keeps it by one 3×3; auto is imagenet from 64 pixels on"},
				{"zero_gamma", []string{"false", "true"}, "start the last norm of each block at zero"},
				{"init", fanOutFirst(), "how the weights are filled"},
				{"dropout", nil, "share of the pooled features dropped before the linear layer, 0 to 1"},
				{"stochastic_depth", nil, "share of images that skip the last block, growing linearly from the first, 0 to 1"},
			},
			Forward: func(b *nn.Builder, x *ir.Value, c Config) *ir.Value {
				return resnet(b, x, c, r.blocks, r.bottleneck)
			},
		})
	}
}

func resnet(b *nn.Builder, x *ir.Value, c Config, blocks [4]int, bottleneck bool) *ir.Value {
	variant := c.Options["variant"]
	b.ZeroGamma = c.Options["zero_gamma"] == "true"
	b.Init = nn.Initialiser(c.Options["init"])
	large := c.Options["stem"] == "imagenet" || c.Options["stem"] == "auto" && min(c.Input[1], c.Input[2]) >= 64
	x = resnetStem(b, x, large, variant == "C" || variant == "D")
	total, at := blocks[0]+blocks[1]+blocks[2]+blocks[3], 0
	for stage, n := range blocks {
		for i := range n {
			at++
			k := residual{
				name: fmt.Sprintf("layer%d.%d", stage+1, i), width: 64 << stage, out: 64 << stage, stride: 1,
				drop:   c.Number("stochastic_depth") * float64(at) / float64(total),
				first:  variant == "A",
				pooled: variant == "D",
			}
			if stage > 0 && i == 0 {
				k.stride = 2
			}
			if bottleneck {
				k.out *= 4
			}
			x = k.apply(b, x, bottleneck)
		}
	}
	x = b.G.One("avgpool", ir.GlobalAvgPool{}, x)
	x = b.Dropout("dropout", x, c.Number("dropout"))
	return b.Linear("fc", x, c.Classes)
}

// resnetStem brings x to 64 channels. deep takes three 3×3 convolutions for the
// large stem's 7×7.
func resnetStem(b *nn.Builder, x *ir.Value, large, deep bool) *ir.Value {
	switch {
	case !large:
		x = b.Conv("conv1", x, 64, 3, ir.Window(1, 1))
	case deep:
		x = b.Conv("conv1.0", x, 32, 3, ir.Window(2, 1))
		x = b.Relu("conv1.2", b.BatchNorm("conv1.1", x))
		x = b.Conv("conv1.3", x, 32, 3, ir.Window(1, 1))
		x = b.Relu("conv1.5", b.BatchNorm("conv1.4", x))
		x = b.Conv("conv1.6", x, 64, 3, ir.Window(1, 1))
	default:
		x = b.Conv("conv1", x, 64, 7, ir.Window(2, 3))
	}
	x = b.Relu("relu", b.BatchNorm("bn1", x))
	if large {
		x = b.G.One("maxpool", ir.MaxPool{PoolAttr: ir.Windows(3, 2, 1)}, x)
	}
	return x
}

// residual describes a block of the large networks.
type residual struct {
	name               string
	width, out, stride int
	drop               float64
	// first puts a bottleneck's stride into its first convolution; pooled
	// averages before an unstrided projection.
	first, pooled bool
}

func (k residual) apply(b *nn.Builder, x *ir.Value, bottleneck bool) *ir.Value {
	y := x
	if bottleneck {
		one, three := 1, k.stride
		if k.first {
			one, three = k.stride, 1
		}
		y = b.Conv(k.name+".conv1", y, k.width, 1, ir.Window(one, 0))
		y = b.Relu(k.name+".relu1", b.BatchNorm(k.name+".bn1", y))
		y = b.Conv(k.name+".conv2", y, k.width, 3, ir.Window(three, 1))
		y = b.Relu(k.name+".relu2", b.BatchNorm(k.name+".bn2", y))
		y = b.Conv(k.name+".conv3", y, k.out, 1, ir.Window(1, 0))
		y = b.LastBatchNorm(k.name+".bn3", y)
	} else {
		y = b.Conv(k.name+".conv1", y, k.out, 3, ir.Window(k.stride, 1))
		y = b.Relu(k.name+".relu1", b.BatchNorm(k.name+".bn1", y))
		y = b.Conv(k.name+".conv2", y, k.out, 3, ir.Window(1, 1))
		y = b.LastBatchNorm(k.name+".bn2", y)
	}
	y = b.DropPath(k.name+".drop", y, k.drop)
	short := x
	if k.stride != 1 || x.Shape[1] != k.out {
		short = k.shortcut(b, x)
	}
	return b.Relu(k.name+".relu", b.Add(k.name+".add", y, short))
}

// shortcut projects x to the block's shape.
func (k residual) shortcut(b *nn.Builder, x *ir.Value) *ir.Value {
	name := k.name + ".downsample."
	if !k.pooled {
		x = b.Conv(name+"0", x, k.out, 1, ir.Window(k.stride, 0))
		return b.BatchNorm(name+"1", x)
	}
	if k.stride != 1 {
		// The last window of an odd map hangs over the edge; only its pixels
		// count.
		a := ir.Windows(k.stride, k.stride, 0)
		a.Pad[2], a.Pad[3] = x.Shape[2]%k.stride, x.Shape[3]%k.stride
		x = b.G.One(name+"0", ir.AvgPool{PoolAttr: a}, x)
	}
	x = b.Conv(name+"1", x, k.out, 1, ir.Window(1, 0))
	return b.BatchNorm(name+"2", x)
}

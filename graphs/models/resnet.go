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
// Pre-activation puts norm and rectifier before each convolution, takes them out
// of the stem and ends with both (He et al. 2016; the order is timm's resnetv2).
// Squeeze and excitation gates the channels of each block's branch (Hu et al.
// 2017). Cardinality is in resnext.go.
//
// Parameter names are torchvision's (conv1, bn1, layer1.0.downsample.0, fc),
// and timm's where torchvision has no such variant (conv1.0, conv1.1, …,
// layer2.0.downsample.1, layer1.0.se.fc1).

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
			Options:  resnetOptions(),
			Forward: func(b *nn.Builder, x *ir.Value, c Config) *ir.Value {
				return resnet(b, x, c, residual{bottleneck: r.bottleneck, groups: 1, base: 64}, r.blocks[:])
			},
		})
	}
}

var seOption = Option{Name: "se", Values: []string{"false", "true"},
	Help: "squeeze and excitation: gate the channels of each residual branch (Hu et al. 2017)"}

func resnetOptions() []Option {
	return []Option{
		{Name: "variant", Values: []string{"B", "A", "C", "D"}, Help: "A strides in a bottleneck's first convolution, B in its 3×3; C is B with three 3×3 convolutions as stem, D is C with average pooling in the shortcuts"},
		{Name: "stem", Values: []string{"auto", "imagenet", "cifar"}, Help: "imagenet quarters the resolution by a 7×7 convolution (3×3s in C and D) and max pooling, cifar keeps it by one 3×3; auto is imagenet from 64 pixels on"},
		{Name: "preact", Values: []string{"false", "true"}, Help: "norm and activation before each convolution (He et al. 2016)"},
		seOption,
		{Name: "zero_gamma", Values: []string{"false", "true"}, Help: "start the last norm of each block at zero"},
		{Name: "init", Values: fanOutFirst(), Help: "how the weights are filled"},
		{Name: "dropout", Help: "share of the pooled features dropped before the linear layer, 0 to 1"},
		{Name: "stochastic_depth", Help: "share of images that skip the last block, growing linearly from the first, 0 to 1"},
	}
}

// resnet builds a stem and stages of the given numbers of blocks like k, whose
// width doubles from one to the next.
func resnet(b *nn.Builder, x *ir.Value, c Config, k residual, blocks []int) *ir.Value {
	variant := c.Options["variant"]
	b.ZeroGamma = c.On("zero_gamma")
	b.Init = nn.Initialiser(c.Options["init"])
	large := c.Options["stem"] == "imagenet" || c.Options["stem"] == "auto" && min(c.Input[1], c.Input[2]) >= 64
	k.first, k.pooled, k.preact, k.se = variant == "A", variant == "D", c.On("preact"), c.On("se")
	x = resnetStem(b, x, large, variant == "C" || variant == "D", k.preact)
	total, at := 0, 0
	for _, n := range blocks {
		total += n
	}
	for stage, n := range blocks {
		for i := range n {
			at++
			k.name = fmt.Sprintf("layer%d.%d", stage+1, i)
			k.drop = c.Number("stochastic_depth") * float64(at) / float64(total)
			k.out, k.width, k.stride = 64<<stage, 64<<stage, 1
			if stage > 0 && i == 0 {
				k.stride = 2
			}
			if k.bottleneck {
				k.out, k.width = 4*k.out, k.groups*(k.base<<stage)
			}
			x = k.apply(b, x)
		}
	}
	if k.preact {
		x = b.Relu("relu_final", b.BatchNorm("norm", x))
	}
	x = b.G.One("avgpool", ir.GlobalAvgPool{}, x)
	x = b.Dropout("dropout", x, c.Number("dropout"))
	return b.Linear("fc", x, c.Classes)
}

// resnetStem brings x to 64 channels. deep takes three 3×3 convolutions for the
// large stem's 7×7; bare leaves norm and activation to the first block.
func resnetStem(b *nn.Builder, x *ir.Value, large, deep, bare bool) *ir.Value {
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
	if !bare {
		x = b.Relu("relu", b.BatchNorm("bn1", x))
	}
	if large {
		x = b.G.One("maxpool", ir.MaxPool{PoolAttr: ir.Windows(3, 2, 1)}, x)
	}
	return x
}

// residual describes a block of the large networks.
type residual struct {
	bottleneck bool
	// groups of a bottleneck's 3×3 convolution, and the channels of each in the
	// first stage.
	groups, base int

	name               string
	width, out, stride int
	drop               float64
	// first puts a bottleneck's stride into its first convolution; pooled
	// averages before an unstrided projection.
	first, pooled, preact, se bool
}

// branchConv is a convolution of a residual branch.
type branchConv struct {
	out, kernel int
	attr        ir.ConvAttr
}

func (k residual) convs() []branchConv {
	if !k.bottleneck {
		return []branchConv{{k.out, 3, ir.Window(k.stride, 1)}, {k.out, 3, ir.Window(1, 1)}}
	}
	one, three := 1, k.stride
	if k.first {
		one, three = k.stride, 1
	}
	grouped := ir.Window(three, 1)
	grouped.Groups = k.groups
	return []branchConv{{k.width, 1, ir.Window(one, 0)}, {k.width, 3, grouped}, {k.out, 1, ir.Window(1, 0)}}
}

func (k residual) apply(b *nn.Builder, x *ir.Value) *ir.Value {
	layers := k.convs()
	y, short := x, x
	for i, l := range layers {
		conv, norm, relu := fmt.Sprintf("%s.conv%d", k.name, i+1), fmt.Sprintf("%s.bn%d", k.name, i+1), fmt.Sprintf("%s.relu%d", k.name, i+1)
		last := i == len(layers)-1
		normal := b.BatchNorm
		if last {
			normal = b.LastBatchNorm
		}
		if k.preact {
			y = b.Relu(relu, normal(norm, y))
			if i == 0 && (k.stride != 1 || x.Shape[1] != k.out) {
				short = k.shortcut(b, y)
			}
			y = b.Conv(conv, y, l.out, l.kernel, l.attr)
			continue
		}
		y = normal(norm, b.Conv(conv, y, l.out, l.kernel, l.attr))
		if !last {
			y = b.Relu(relu, y)
		}
	}
	if k.se {
		y = b.SqueezeExcite(k.name+".se", y, nn.Sixteenth(k.out))
	}
	y = b.DropPath(k.name+".drop", y, k.drop)
	if k.preact {
		return b.Add(k.name+".add", y, short)
	}
	if k.stride != 1 || x.Shape[1] != k.out {
		short = k.shortcut(b, x)
	}
	return b.Relu(k.name+".relu", b.Add(k.name+".add", y, short))
}

// shortcut projects x to the block's shape; behind a pre-activation there is no
// norm.
func (k residual) shortcut(b *nn.Builder, x *ir.Value) *ir.Value {
	name := k.name + ".downsample."
	norm := b.BatchNorm
	if k.preact {
		norm = func(_ string, x *ir.Value) *ir.Value { return x }
	}
	if !k.pooled {
		x = b.Conv(name+"0", x, k.out, 1, ir.Window(k.stride, 0))
		return norm(name+"1", x)
	}
	if k.stride != 1 {
		// Only the pixels of a window count.
		x = b.G.One(name+"0", ir.AvgPool{PoolAttr: hanging(x.Shape, k.stride)}, x)
	}
	x = b.Conv(name+"1", x, k.out, 1, ir.Window(1, 0))
	return norm(name+"2", x)
}

package models

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

// Pyramidal residual networks for small images (Han et al. 2016, "Deep
// Pyramidal Residual Networks"): every block has α/3n channels more than the one
// before, from 16 up to 16+α, rounded; a block is norm-conv-norm-relu-conv-norm
// (norm-1×1-norm-relu-3×3-norm-relu-1×1-norm as a bottleneck, with four times
// the channels), its shortcut an average pooling where the stride is 2 and zeros
// for the added channels.
//
// ShakeDrop multiplies the branch of block l of L by random factors while it is
// dropped, which it is with probability l/L·shakedrop (Yamada et al. 2018, whose
// networks have shakedrop 0.5).
//
// Parameter names are those of the authors' PyTorch code.

func init() {
	for _, p := range []struct {
		depth, alpha int
		bottleneck   bool
	}{
		{20, 24, false}, {29, 24, true}, {110, 48, false}, {110, 84, false}, {110, 270, false},
		{164, 270, true}, {200, 240, true}, {236, 220, true}, {272, 200, true},
	} {
		n, kind, factor := (p.depth-2)/6, "basic", 1
		if p.bottleneck {
			n, kind, factor = (p.depth-2)/9, "bottleneck", 4
		}
		Register(&Model{
			Name: fmt.Sprintf("pyramidnet%d_a%d", p.depth, p.alpha),
			Description: fmt.Sprintf("PyramidNet-%d, α %d, for small images: 3 stages of %d %s blocks, 16 to %d channels",
				p.depth, p.alpha, n, kind, factor*(16+p.alpha)),
			Source:   "Han et al. 2016, arXiv 1610.02915; ShakeDrop: Yamada et al. 2018, arXiv 1802.02375",
			MinInput: 4,
			Options: []Option{
				{Name: "shakedrop", Help: "share of the last block's branches that are dropped and shaken, growing linearly from the first, 0 to 1; the paper's 0.5 suits the deep ones"},
				{Name: "shakedrop_level", Values: []string{"image", "batch"}, Help: "whether each image draws its own factors or a batch shares them"},
				{Name: "init", Values: fanOutFirst(), Help: "how the weights are filled"},
				{Name: "dropout", Help: "share of the pooled features dropped before the linear layer, 0 to 1"},
			},
			Forward: func(b *nn.Builder, x *ir.Value, c Config) *ir.Value {
				return pyramidNet(b, x, c, n, p.alpha, p.bottleneck)
			},
		})
	}
}

func pyramidNet(b *nn.Builder, x *ir.Value, c Config, n, alpha int, bottleneck bool) *ir.Value {
	b.Init = nn.Initialiser(c.Options["init"])
	x = b.BatchNorm("bn1", b.Conv("conv1", x, 16, 3, ir.Window(1, 1)))
	total := 3 * n
	for l := 1; l <= total; l++ {
		stage, i := (l-1)/n+1, (l-1)%n
		k := pyramidBlock{
			name: fmt.Sprintf("layer%d.%d", stage, i),
			// 16 + l·α/total to the nearest whole number.
			width: (2*(16*total+l*alpha) + total) / (2 * total), stride: 1,
			keep:  1 - c.Number("shakedrop")*float64(l)/float64(total),
			batch: c.Options["shakedrop_level"] == "batch",
		}
		if stage > 1 && i == 0 {
			k.stride = 2
		}
		x = k.apply(b, x, bottleneck)
	}
	x = b.Relu("relu_final", b.BatchNorm("bn_final", x))
	x = b.G.One("avgpool", ir.GlobalAvgPool{}, x)
	x = b.Dropout("dropout", x, c.Number("dropout"))
	return b.Linear("fc", x, c.Classes)
}

type pyramidBlock struct {
	name          string
	width, stride int
	keep          float64
	batch         bool
}

func (k pyramidBlock) apply(b *nn.Builder, x *ir.Value, bottleneck bool) *ir.Value {
	y := b.BatchNorm(k.name+".bn1", x)
	if bottleneck {
		y = b.Conv(k.name+".conv1", y, k.width, 1, ir.Window(1, 0))
		y = b.Relu(k.name+".relu1", b.BatchNorm(k.name+".bn2", y))
		y = b.Conv(k.name+".conv2", y, k.width, 3, ir.Window(k.stride, 1))
		y = b.Relu(k.name+".relu2", b.BatchNorm(k.name+".bn3", y))
		y = b.BatchNorm(k.name+".bn4", b.Conv(k.name+".conv3", y, 4*k.width, 1, ir.Window(1, 0)))
	} else {
		y = b.Conv(k.name+".conv1", y, k.width, 3, ir.Window(k.stride, 1))
		y = b.Relu(k.name+".relu1", b.BatchNorm(k.name+".bn2", y))
		y = b.BatchNorm(k.name+".bn3", b.Conv(k.name+".conv2", y, k.width, 3, ir.Window(1, 1)))
	}
	y = b.ShakeDrop(k.name+".shakedrop", y, k.keep, k.batch)
	short := x
	if k.stride != 1 {
		short = b.G.One(k.name+".downsample", ir.AvgPool{PoolAttr: hanging(x.Shape, k.stride)}, x)
	}
	if extra := y.Shape[1] - short.Shape[1]; extra > 0 {
		short = b.G.One(k.name+".pad", ir.Pad{After: [ir.MaxRank]int{1: extra}}, short)
	}
	return b.Add(k.name+".add", y, short)
}

// hanging returns windows of the stride's size side by side; the last of an odd
// map hangs over the edge.
func hanging(x ir.Shape, stride int) ir.PoolAttr {
	a := ir.Windows(stride, stride, 0)
	a.Pad[2], a.Pad[3] = x[2]%stride, x[3]%stride
	return a
}

package models

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

// ResNeXt (Xie et al. 2016, "Aggregated Residual Transformations for Deep Neural
// Networks"): residual networks of bottlenecks whose 3×3 convolution is cut into
// groups. Those for large images have ResNet's stages; ResNeXt-29 for small
// images has three stages of three blocks behind a 3×3 stem, 256, 512 and 1024
// channels.
//
// Parameter names are torchvision's (those of ResNet).

func init() {
	for _, r := range []struct {
		depth        int
		blocks       []int
		groups, base int
		small        bool
	}{
		{50, []int{3, 4, 6, 3}, 32, 4, false},
		{101, []int{3, 4, 23, 3}, 32, 8, false},
		{29, []int{3, 3, 3}, 4, 64, true},
		{29, []int{3, 3, 3}, 8, 64, true},
		{29, []int{3, 3, 3}, 16, 64, true},
	} {
		size, options := "large and small images", resnetOptions()
		if r.small {
			size = "small images"
			for i, o := range options {
				if o.Name == "stem" {
					options[i].Values = []string{"cifar", "imagenet", "auto"}
				}
			}
		}
		Register(&Model{
			Name: fmt.Sprintf("resnext%d_%dx%dd", r.depth, r.groups, r.base),
			Description: fmt.Sprintf("ResNeXt-%d %d×%dd for %s: %d stages of bottlenecks in %d groups of %d channels",
				r.depth, r.groups, r.base, size, len(r.blocks), r.groups, r.base),
			Source:   "Xie et al. 2016, arXiv 1611.05431",
			MinInput: 8,
			Options:  options,
			Forward: func(b *nn.Builder, x *ir.Value, c Config) *ir.Value {
				return resnet(b, x, c, residual{bottleneck: true, groups: r.groups, base: r.base}, r.blocks)
			},
		})
	}
}

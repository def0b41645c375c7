package models_test

import (
	"math"
	"testing"

	"github.com/ortrain/ortrain/graphs/autodiff"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/nn"
)

// forward builds a network's training graph for a batch.
func forward(t *testing.T, name string, c models.Config, batch int) (*ir.Graph, *ir.Value, nn.Layout) {
	t.Helper()
	m, ok := models.Lookup(name)
	if !ok {
		t.Fatalf("no model %s", name)
	}
	c, err := m.Resolve(c)
	if err != nil {
		t.Fatal(err)
	}
	g := ir.New(name)
	src := &nn.Collector{G: g}
	b := &nn.Builder{G: g, Source: src, Training: true}
	logits := m.Forward(b, g.Input("images", ir.F32(batch, c.Input[0], c.Input[1], c.Input[2])), c)
	if want := (ir.Shape{batch, c.Classes}); !logits.Shape.Equal(want) {
		t.Errorf("%s: logits are %v, want %v", name, logits.Shape, want)
	}
	return g, logits, src.Layout
}

// TestPublishedSizes compares parameters, exactly, and multiply-adds, to the
// last digit given, with what torchvision, timm and the papers publish.
func TestPublishedSizes(t *testing.T) {
	small, large := models.Config{Classes: 10, Input: [3]int{3, 32, 32}}, models.Config{Classes: 1000, Input: [3]int{3, 224, 224}}
	option := func(c models.Config, name, value string) models.Config {
		c.Options = map[string]string{name: value}
		return c
	}
	variant := func(v string) models.Config { return option(large, "variant", v) }
	for _, tt := range []struct {
		name   string
		config models.Config
		params int
		// giga multiply-adds and half a unit of its last digit.
		giga, within float64
	}{
		// Zagoruyko and Komodakis 2016, tables 4 and 5: 2.7 M, 36.5 M, 2.2 M, 8.9 M, 0.6 M, 11.0 M, 17.2 M, 52.5 M.
		{"wrn16_4", small, 2748890, 0.39, 0.006},
		{"wrn28_10", small, 36479194, 5.2, 0.06},
		{"wrn40_2", small, 2243546, 0.33, 0.006},
		{"wrn40_4", small, 8949210, 1.3, 0.06},
		{"wrn40_1", small, 563930, 0.083, 0.001},
		{"wrn16_8", small, 10961370, 1.55, 0.006},
		{"wrn22_8", small, 17158106, 2.4, 0.06},
		{"wrn28_12", small, 52517850, 7.5, 0.06},
		// torchvision's model table: parameters and GFLOPS.
		{"resnet18", large, 11689512, 1.81, 0.011},
		{"resnet34", large, 21797672, 3.66, 0.011},
		{"resnet50", large, 25557032, 4.09, 0.006},
		{"resnet101", large, 44549160, 7.80, 0.006},
		{"resnet152", large, 60192808, 11.51, 0.006},
		// He et al. 2018, table 5: 3.8, 4.1, 4.3 and 4.3 GFLOPs; timm's resnet50c and resnet50d.
		{"resnet50", variant("A"), 25557032, 3.8, 0.06},
		{"resnet50", variant("C"), 25576264, 4.3, 0.06},
		{"resnet50", variant("D"), 25576264, 4.3, 0.06},
		// kuangliu's ResNet-18 for CIFAR: 0.56 G.
		{"resnet18", small, 11173962, 0.56, 0.006},
		// torchvision's model table.
		{"resnext50_32x4d", large, 25028904, 4.23, 0.006},
		{"resnext101_32x8d", large, 88791336, 16.41, 0.006},
		// timm's seresnet50 and resnetv2_50; Hu et al. 2017, table 2: 3.87 GFLOPs, 0.01 more than its ResNet-50 (variant A).
		{"resnet50", option(large, "se", "true"), 28088024, 4.1, 0.011},
		{"resnet50", option(large, "preact", "true"), 25549352, 4.1, 0.011},
		// Xie et al. 2016, table 7: 34.4 M and 68.1 M; the multiply-adds are imgclsmob's, whose 10.71 G counts norms and activations too.
		{"resnext29_8x64d", small, 34426698, 5.4, 0.06},
		{"resnext29_16x64d", small, 68155210, 10.7, 0.06},
		// Gastaldi 2017, §2.3: 2.9 M, 11.7 M and 26.2 M.
		{"shake26_2x32d", small, 2923162, 0.43, 0.006},
		{"shake26_2x64d", small, 11653978, 1.7, 0.06},
		{"shake26_2x96d", small, 26192922, 3.8, 0.06},
		{"shake26_2x112d", small, 35640442, 5.1, 0.06},
		// Han et al. 2016, table 4: 1.7 M, 3.8 M, 28.3 M, 27.0 M, 26.6 M, 26.8 M and 26.0 M, each about 0.1 M to 0.2 M less than what the
		// authors' PyTorch code and imgclsmob (which lists these to the digit, and 408 M, 778 M and 4.73 G multiply-adds) build.
		{"pyramidnet110_a48", small, 1772706, 0.408, 0.006},
		{"pyramidnet110_a84", small, 3904446, 0.778, 0.0061},
		{"pyramidnet110_a270", small, 28485477, 4.73, 0.02},
		{"pyramidnet164_a270", small, 27216021, 4.6, 0.06},
		{"pyramidnet200_a240", small, 26752702, 4.5, 0.06},
		{"pyramidnet236_a220", small, 26969046, 4.6, 0.06},
		{"pyramidnet272_a200", small, 26210842, 4.5, 0.06},
		// Real et al. 2018, tables 1 and 2: 2.8 M, 13.7 M and 34.9 M, without the auxiliary classifier; multiply-adds are not published.
		{"amoebanet_b_6_36", small, 2839186, 0.46, 0.006},
		{"amoebanet_b_6_80", small, 13716250, 2.2, 0.06},
		{"amoebanet_b_6_128", small, 34874506, 5.6, 0.06},
	} {
		m, ok := models.Lookup(tt.name)
		if !ok {
			t.Fatalf("no model %s", tt.name)
		}
		config, err := m.Resolve(tt.config)
		if err != nil {
			t.Fatal(err)
		}
		params, flops := m.Size(config)
		if params != tt.params {
			t.Errorf("%s %v has %d parameters, want %d", tt.name, tt.config.Options, params, tt.params)
		}
		if got := float64(flops) / 1e9; math.Abs(got-tt.giga) > tt.within {
			t.Errorf("%s %v takes %.4g G multiply-adds, want %.4g", tt.name, tt.config.Options, got, tt.giga)
		}
	}
}

// TestStems: which stem an input gets, and odd sizes through every variant.
func TestStems(t *testing.T) {
	kinds := func(name string, size int, options map[string]string) map[string]int {
		g, _, _ := forward(t, name, models.Config{Classes: 7, Input: [3]int{1, size, size}, Options: options}, 2)
		n := map[string]int{}
		for _, node := range g.Nodes {
			n[node.Op.Kind()]++
		}
		return n
	}
	for _, tt := range []struct {
		size int
		stem string
		want int
	}{{63, "auto", 0}, {64, "auto", 1}, {32, "imagenet", 1}, {96, "cifar", 0}, {8, "imagenet", 1}} {
		if got := kinds("resnet18", tt.size, map[string]string{"stem": tt.stem})["MaxPool"]; got != tt.want {
			t.Errorf("stem %s at %d pixels has %d max poolings, want %d", tt.stem, tt.size, got, tt.want)
		}
	}
	for _, variant := range []string{"A", "B", "C", "D"} {
		for _, name := range []string{"resnet18", "resnet50"} {
			for _, size := range []int{8, 33, 77} {
				avg := kinds(name, size, map[string]string{"variant": variant})["AvgPool"]
				if want := map[string]int{"D": 3}[variant]; avg != want {
					t.Errorf("%s-%s at %d pixels has %d average poolings, want %d", name, variant, size, avg, want)
				}
			}
		}
	}
}

// TestOptions: zero gammas end every block, and dropping asks for one mask
// where the paper has one.
func TestOptions(t *testing.T) {
	_, _, layout := forward(t, "resnet50", models.Config{Classes: 10, Input: [3]int{3, 64, 64},
		Options: map[string]string{"zero_gamma": "true", "stochastic_depth": "0.2", "dropout": "0.1"}}, 2)
	zero := 0
	for _, p := range layout.Params {
		if p.Norm && !p.Bias && p.Init.Kind == ir.InitZeros {
			zero++
		}
	}
	if zero != 16 || len(layout.Random) != 17 {
		t.Errorf("resnet50 has %d zero gammas and %d masks, want 16 and 17", zero, len(layout.Random))
	}
	if last := layout.Random[15]; math.Abs(last.Keep-0.8) > 1e-12 || last.Shape.Size() != 2 {
		t.Errorf("the last block keeps %g of %v, want 0.8 of 2 images", last.Keep, last.Shape)
	}
	_, _, layout = forward(t, "wrn16_4", models.Config{Classes: 10, Input: [3]int{3, 32, 32},
		Options: map[string]string{"dropout": "0.3"}}, 2)
	if len(layout.Random) != 6 || !layout.Random[5].Shape.Equal(ir.Shape{2, 256, 8, 8}) {
		t.Errorf("wrn16_4 with dropout draws %v, want 6 masks, the last 2×256×8×8", layout.Random)
	}
}

// TestDeepestStep builds, differentiates and lowers the step of the deepest
// networks at full size: the graphs grow in proportion to the blocks.
func TestDeepestStep(t *testing.T) {
	nodes := func(name string, c models.Config, batch, block int) int {
		g, logits, layout := forward(t, name, c, batch)
		loss := g.One("loss", ir.SoftmaxCrossEntropy{}, logits, g.Input("targets", logits.Type))
		names := map[string]bool{}
		for _, p := range layout.Params {
			names[p.Name] = true
		}
		var params []*ir.Value
		for _, v := range g.Inputs {
			if names[v.Name] {
				params = append(params, v)
			}
		}
		grads, err := autodiff.Gradients(g, loss, nil, params)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range grads {
			g.Output("grad."+params[i].Name, d)
		}
		m, err := lower.Lower(g, lower.Options{Block: block})
		if err != nil {
			t.Fatal(err)
		}
		return len(m.Graph.Node)
	}
	large, small := models.Config{Classes: 1000, Input: [3]int{3, 224, 224}}, models.Config{Classes: 10, Input: [3]int{3, 32, 32}}
	for _, tt := range []struct {
		middle, deep   string
		middleN, deepN int // blocks
		config         models.Config
		batch          int
	}{
		{"resnet101", "resnet152", 33, 50, large, 16},
		{"resnet110", "resnet1202", 54, 600, small, 128},
	} {
		for _, block := range []int{0, 16} {
			middle, deep := nodes(tt.middle, tt.config, tt.batch, block), nodes(tt.deep, tt.config, tt.batch, block)
			perBlock := float64(deep-middle) / float64(tt.deepN-tt.middleN)
			t.Logf("block %d: %d nodes in %s, %d in %s: %.1f a block", block, middle, tt.middle, deep, tt.deep, perBlock)
			if float64(deep) > float64(tt.deepN+10)*perBlock {
				t.Errorf("block %d: %d nodes for %d blocks, %d for %d: not linear in depth", block, deep, tt.deepN, middle, tt.middleN)
			}
		}
	}
}

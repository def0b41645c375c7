package primitives

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/precision"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestMixedNetworks puts forward, loss and backward of whole networks into mixed
// precision and compares ONNX Runtime's numbers with those of the reference
// under the same roundings, and those with exact ones.
func TestMixedNetworks(t *testing.T) {
	ortest.Open(t)
	for _, c := range []struct {
		model   string
		options map[string]string
		input   [3]int
		batch   int
	}{
		{"resnet8", map[string]string{"shortcut": "A"}, [3]int{3, 8, 8}, 16},
		{"resnet8", map[string]string{"se": "true", "shortcut": "B", "dropout": "0.3", "stochastic_depth": "0.5"}, [3]int{3, 9, 7}, 16},
		{"wrn10_1", map[string]string{"dropout": "0.2"}, [3]int{3, 8, 8}, 8},
		{"shake26_2x32d", nil, [3]int{1, 9, 7}, 2},
		{"pyramidnet20_a24", map[string]string{"shakedrop": "0.5"}, [3]int{3, 9, 11}, 4},
		{"amoebanet_b_1_16", map[string]string{"drop_path": "0.3"}, [3]int{3, 17, 16}, 4},
	} {
		t.Run(fmt.Sprintf("%s_%s", c.model, strings.TrimPrefix(fmt.Sprint(c.options), "map")), func(t *testing.T) {
			g, inputs := trainingGraph(t, c.model, models.Config{Classes: 10, Input: c.input, Options: c.options}, c.batch)
			exact, err := reference.Run(g, inputs)
			if err != nil {
				t.Fatal(err)
			}
			var free, keep []*ir.Value
			for _, v := range g.Inputs {
				if v.Name != "images" && v.Name != "targets" {
					free = append(free, v)
				}
			}
			for _, o := range g.Outputs {
				keep = append(keep, o.Value)
			}
			if keep, err = precision.Mixed(g, free, keep); err != nil {
				t.Fatal(err)
			}
			for i, v := range keep {
				if g.Outputs[i].Value = v; v.DType != ir.Float32 {
					t.Errorf("%s is %v", g.Outputs[i].Name, v.DType)
				}
			}
			checkMixed(t, g)
			want, err := reference.Run(g, inputs)
			if err != nil {
				t.Fatal(err)
			}
			lowered := variants()
			if ortest.Provider() == lower.CPU {
				lowered = map[string]lower.Options{"single": {NoFusion: true}, "fused": {}, "cuda": {Provider: lower.CUDA}}
			}
			for name, o := range lowered {
				s := load(t, g, o)
				got, err := s.run(inputs)
				s.Close()
				if err != nil {
					t.Fatal(err)
				}
				near, far := gradientDistance(got, want), gradientDistance(want, exact)
				t.Logf("%s: gradients %.2g from those of the reference in half precision, which are %.2g from exact ones", name, near, far)
				if near > 0.2 || far > 0.25 {
					t.Errorf("%s: gradients are too far away", name)
				}
				for _, out := range []string{"loss", "logits"} {
					if d := reference.Distance(got[out], want[out]); d > 4*halfTolerance {
						t.Errorf("%s: %s is %.2g away from the reference", name, out, d)
					}
				}
			}
		})
	}
}

// gradientDistance is the Euclidean distance of all gradients together, relative
// to the length of those wanted. A rounding that moves a rectifier's input past
// zero turns a whole element on or off, which in a small network the largest
// difference would show and nothing else.
func gradientDistance(got, want map[string]reference.Tensor) float64 {
	var diff, size float64
	for name, w := range want {
		if !strings.HasPrefix(name, "grad.") {
			continue
		}
		for i, x := range w.Data {
			d := got[name].Data[i] - x
			diff += d * d
			size += x * x
		}
	}
	return math.Sqrt(diff / size)
}

// checkMixed: convolutions and products compute in float16, losses, sums and
// the statistics of norms do not, and no cast undoes another.
func checkMixed(t *testing.T, g *ir.Graph) {
	t.Helper()
	half, casts := 0, 0
	for _, n := range g.Nodes {
		switch kind := n.Op.Kind(); kind {
		case "Conv", "ConvGradInput", "MatMul", "ConvGradWeight":
			for _, v := range n.In {
				if v.DType != ir.Float16 {
					t.Errorf("%s %s reads %s of %v", kind, n.Name, v.Name, v.DType)
				}
			}
			if want := kind == "ConvGradWeight"; (n.Out[0].DType == ir.Float32) != want {
				t.Errorf("%s %s writes %v", kind, n.Name, n.Out[0].DType)
			}
			half++
		case "SoftmaxCrossEntropy", "SoftmaxCrossEntropyGrad", "Sum":
			if n.Out[0].DType != ir.Float32 {
				t.Errorf("%s %s writes %v", kind, n.Name, n.Out[0].DType)
			}
		case "Cast":
			casts++
			if from := n.In[0].Node; from != nil && from.Op.Kind() == "Cast" {
				t.Errorf("%s casts what %s has cast", n.Name, from.Name)
			}
		}
	}
	t.Logf("%d nodes, %d of them convolutions and products in float16, %d casts", len(g.Nodes), half, casts)
}

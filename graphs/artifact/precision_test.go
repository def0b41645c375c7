package artifact_test

import (
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
)

func mixedStep(t *testing.T, change func(*artifact.Spec)) *artifact.Set {
	t.Helper()
	spec := artifact.Spec{
		Model: "resnet20", Config: models.Config{Classes: 10, Input: [3]int{3, 32, 32}}, Optimizer: "sgd", Batch: 8,
		Precision: &artifact.Mixed{LossScale: artifact.FirstLossScale, Dynamic: true, GrowthInterval: artifact.GrowthInterval},
	}
	change(&spec)
	set, err := artifact.Build(spec)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestMixedStep: state, loss and logits of a step in mixed precision stay
// float32, its convolutions on a device read float16, and for the CPU it is a file
// of the plain layout whatever the machine offers.
func TestMixedStep(t *testing.T) {
	for _, provider := range []string{lower.CPU, lower.CUDA} {
		set := mixedStep(t, func(s *artifact.Spec) {
			if s.Lowering.Provider = provider; provider == lower.CPU {
				s.Lowering.Block, s.Lowering.Kernels = 16, true
			}
		})
		if set.Manifest.Block != 0 || set.Manifest.Kernels != 0 {
			t.Errorf("%s: the manifest asks for blocks of %d and kernels %d", provider, set.Manifest.Block, set.Manifest.Kernels)
		}
		g := set.Step.Graph
		ports := map[string]bool{}
		for _, v := range append(g.Input, g.Output...) {
			ports[v.GetName()] = true
			if d := v.GetType().GetTensorType().GetElemType(); d != int32(onnx.TensorProto_FLOAT) {
				t.Errorf("%s: %s is of type %d", provider, v.GetName(), d)
			}
		}
		if !ports[artifact.LossScale] || !ports[artifact.LossScale+artifact.OutSuffix] {
			t.Errorf("%s: the scale of the loss is not among the ports", provider)
		}
		halves := map[string]bool{}
		casts, convs := map[string]int{}, map[string]bool{}
		for _, n := range g.Node {
			if n.GetDomain() == "com.microsoft.nchwc" || n.GetDomain() == lower.KernelDomain {
				t.Errorf("%s: %s is of domain %s", provider, n.GetName(), n.GetDomain())
			}
			switch n.GetOpType() {
			case "Cast":
				casts[n.Input[0]]++
				for _, a := range n.Attribute {
					halves[n.Output[0]] = a.GetI() == int64(onnx.TensorProto_FLOAT16)
				}
			case "Conv":
				convs[n.Output[0]] = true
			}
		}
		// ONNX Runtime merges casts that are alike: two of a map, one in each
		// pass, would be a float32 copy that lives in between.
		for name := range convs {
			if provider == lower.CUDA && casts[name] > 1 {
				t.Errorf("the output %s of a convolution is cast %d times", name, casts[name])
			}
		}
		weights := 0
		for name, half := range halves {
			if half && strings.HasSuffix(name, "float16") {
				weights++
			}
		}
		if weights < 20 {
			t.Errorf("%s: only %d values are cast to float16", provider, weights)
		}
		for _, m := range []*onnx.ModelProto{set.Eval, set.Infer} {
			for _, n := range m.Graph.Node {
				if n.GetOpType() == "Cast" {
					t.Errorf("%s: %s of %s casts", provider, n.GetName(), m.Graph.Name)
				}
			}
		}
	}
}

func TestMixedMistakes(t *testing.T) {
	for want, p := range map[string]*artifact.Mixed{
		"the scale of the loss must lie between 1 and 16777216, have 0":                 {},
		"the scale of the loss must lie between 1 and 16777216, have -2":                {LossScale: -2},
		"the growth interval of the loss scale must lie between 1 and 16777216 steps, ": {LossScale: 8, Dynamic: true},
	} {
		_, err := artifact.Build(artifact.Spec{
			Model: "resnet8", Config: models.Config{Classes: 10, Input: [3]int{3, 8, 8}}, Optimizer: "sgd", Batch: 8, Precision: p})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

package lower

import (
	"slices"
	"testing"

	"github.com/ortrain/ortrain/graphs/kernels"
)

// TestKernelsAreMeasured: with CUDA's kernel library its operators are among the
// forms that are timed, first by the rule, each in a model that a session can load:
// every name is written before it is read, and no node is left to the CPU. Maps come and go with channels last, as
// within a step, so a kernel's model converts nothing but weights.
func TestKernelsAreMeasured(t *testing.T) {
	for _, half := range []bool{false, true} {
		o := Options{Provider: CUDA, Kernels: true}
		kinds := map[string]bool{}
		for _, n := range Tunable(block(half), o) {
			kind := n.Op.Kind()
			forms := Candidates(n, o)
			if len(forms) < 2 {
				t.Errorf("%s: only %v", kind, forms)
			}
			kinds[kind] = forms[0] == "kernel" || kind == "ReluGrad" && forms[0] == lastForm
			for _, form := range forms {
				m, err := ProbeLoop(n, form, o)
				if err != nil {
					t.Fatal(err)
				}
				if away := kernels.CUDA().With(KernelDomain).Place(m).Unwanted(); len(away) > 0 {
					t.Errorf("half %v: %s in form %s would be refused: %+v", half, kind, form, away)
				}
				body := m.Graph.Node[0].Attribute[0].G
				known := map[string]bool{"trip": true, "go": true, "before": true}
				for _, v := range m.Graph.Input {
					known[v.GetName()] = true
				}
				for _, v := range m.Graph.Initializer {
					known[v.GetName()] = true
				}
				conversions := 0
				for _, node := range body.Node {
					if slices.Contains([]string{"ToChannelsLast", "FromChannelsLast"}, node.GetOpType()) {
						conversions++
					}
					for _, in := range node.Input {
						if in != "" && !known[in] {
							t.Errorf("%s in form %s: %s reads %s before it is written", kind, form, node.GetOpType(), in)
						}
					}
					for _, out := range node.Output {
						known[out] = true
					}
				}
				weights := 0
				if kind == "ConvGradInput" {
					weights = 1
				}
				if form == "kernel" && conversions != weights {
					t.Errorf("%s: the kernel's model converts %d times, want %d", kind, conversions, weights)
				}
			}
		}
		for _, kind := range []string{"ConvGradInput", "ConvGradWeight", "BatchNormTrain", "BatchNormGrad", "ReluGrad"} {
			if !kinds[kind] {
				t.Errorf("half %v: %s is not timed, or not by the library first", half, kind)
			}
		}
	}
}

package job

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/kernels"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/tricks/nearest"
)

// ModelPlacement tells which nodes of a model a provider would leave to the
// CPU.
type ModelPlacement struct {
	File string `json:"file"`
	// Lowering is the provider that a training step was written for; empty for
	// other models.
	Lowering string `json:"lowering,omitempty"`
	kernels.Report
}

// Placements tells for the models of what Inspect describes which of their
// nodes the provider would leave to the CPU, by the lists of its kernels. No
// library is needed.
func (i *Inspection) Placements(provider string) ([]ModelPlacement, error) {
	if provider != lower.CUDA {
		return nil, fmt.Errorf("no list of kernels for provider %q%s", provider, nearest.Hint(provider, []string{lower.CUDA}))
	}
	var list []ModelPlacement
	for k, m := range i.Models {
		model, err := onnx.ReadFile(m.File)
		if err != nil {
			return nil, err
		}
		p := ModelPlacement{File: m.File, Report: *kernels.CUDA().Place(model)}
		if i.Manifest != nil && k == 0 { // artifact.StepFile comes first
			p.Lowering = i.Manifest.Lowering
		}
		list = append(list, p)
	}
	return list, nil
}

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
// nodes the provider would leave to the CPU, by the lists of its kernels. ONNX
// Runtime is not needed; the kernel library's operators count where it is built.
func (i *Inspection) Placements(provider string) ([]ModelPlacement, error) {
	if provider != lower.CUDA {
		return nil, fmt.Errorf("no list of kernels for provider %q%s", provider, nearest.Hint(provider, []string{lower.CUDA}))
	}
	list := kernels.CUDA()
	if haveKernels(provider) {
		list = list.With(lower.KernelDomain)
	}
	var placements []ModelPlacement
	for k, m := range i.Models {
		model, err := onnx.ReadFile(m.File)
		if err != nil {
			return nil, err
		}
		p := ModelPlacement{File: m.File, Report: *list.Place(model)}
		if i.Manifest != nil && k == 0 { // artifact.StepFile comes first
			p.Lowering = i.Manifest.Lowering
		}
		placements = append(placements, p)
	}
	return placements, nil
}

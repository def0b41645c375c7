package recipe

import (
	"slices"

	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/strict"
)

// CUDA sets up provider cuda. Leaving all of it out is the right start.
type CUDA struct {
	// Device is the number of the device, as the driver counts.
	Device int `yaml:"device,omitempty"`
	// MemoryGiB is how much of the device's memory a model may take, in GiB; 0
	// is no limit.
	MemoryGiB float64 `yaml:"memory_gib,omitempty"`
	// ConvolutionSearch says how cuDNN's convolutions are chosen: exhaustive
	// (also the meaning of nothing), which times them when a run begins, or
	// heuristic.
	ConvolutionSearch string `yaml:"convolution_search,omitempty"`
	// TF32 says whether products of float32 may be computed in TF32; nothing
	// is yes.
	TF32 *bool `yaml:"tf32,omitempty"`
	// Fallback says what runs the nodes that have no CUDA kernel: cpu, or
	// nothing for refusing such models.
	Fallback string `yaml:"fallback,omitempty"`
}

// How convolutions are chosen.
const (
	Exhaustive = "exhaustive"
	Heuristic  = "heuristic"
)

// MemoryLimit is the limit in bytes; 0 is none.
func (c CUDA) MemoryLimit() int64 { return int64(c.MemoryGiB * (1 << 30)) }

// Check reports options out of range, and options where none of the providers
// that execute the models is cuda. Errors name the recipe's keys.
func (c CUDA) Check(provider string, others ...string) error {
	if c == (CUDA{}) {
		return nil
	}
	if !slices.Contains(append(others, provider), "cuda") {
		return strict.Errorf("cuda", "needs provider: cuda, got provider: %s", provider)
	}
	switch searches := []string{Exhaustive, Heuristic}; {
	case c.Device < 0:
		return strict.Errorf("cuda.device", "must not be negative, got %d", c.Device)
	case c.MemoryGiB < 0 || c.MemoryGiB > 1<<20:
		return strict.Errorf("cuda.memory_gib", "must be 0 (no limit) or a number of GiB, got %v", c.MemoryGiB)
	case c.ConvolutionSearch != "" && !slices.Contains(searches, c.ConvolutionSearch):
		return strict.Errorf("cuda.convolution_search", "got %q%s", c.ConvolutionSearch, nearest.Hint(c.ConvolutionSearch, searches))
	case c.Fallback != "" && c.Fallback != "cpu":
		return strict.Errorf("cuda.fallback", "must be cpu, or left out to refuse models with nodes that have no CUDA kernel, got %q", c.Fallback)
	}
	return nil
}

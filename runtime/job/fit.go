package job

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/runtime"
)

// workspace is how many times the memory of a step's values a step takes at
// least: the temporaries within its operators, and what an arena cannot reuse.
const workspace = 1.3

// largestBatch returns the largest batch, in steps of eight where there are as
// many, of which a step takes at most limit bytes by an estimate, given that one
// of so many images takes more; 0 if not even one fits. peak estimates the
// values' memory for a batch.
func largestBatch(batch int, limit int64, peak func(batch int) (int64, error)) (int, error) {
	most, err := peak(batch)
	if err != nil {
		return 0, err
	}
	// The estimate is corrected by what is known: the batch does not fit.
	factor := max(workspace, float64(limit)/float64(most))
	fits := func(n int) (bool, error) {
		p, err := peak(n)
		return factor*float64(p) <= float64(limit), err
	}
	low, high := 0, batch // low fits, high does not
	for high-low > 1 {
		middle := (low + high) / 2
		ok, err := fits(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}
	if low > 8 {
		low -= low % 8
	}
	return low, nil
}

// fittingBatch says which batch would fit into the memory that the run may use
// on its device; empty if that is not known.
func (t *run) fittingBatch() string {
	r := t.recipe
	if r.Provider != lower.CUDA {
		return ""
	}
	limit, where := r.CUDA.MemoryLimit(), "the limit of cuda.memory_gib"
	if devices := runtime.ExamineCUDA(t.lib).Devices; limit == 0 && r.CUDA.Device < len(devices) {
		limit = devices[r.CUDA.Device].Memory
		where = fmt.Sprintf("device %d (%s)", r.CUDA.Device, devices[r.CUDA.Device].Name)
	}
	if limit == 0 {
		return ""
	}
	spec := Spec(r, t.data)
	n, err := largestBatch(spec.Batch, limit, func(batch int) (int64, error) {
		s := spec
		s.Batch = batch
		g, err := artifact.StepGraph(s)
		if err != nil {
			return 0, err
		}
		return g.PeakBytes(), nil
	})
	if err != nil || n == 0 {
		return ""
	}
	return fmt.Sprintf("by an estimate %d images at a time would fit into the %.3g GiB of %s", n, float64(limit)/(1<<30), where)
}

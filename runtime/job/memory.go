package job

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// lessMemory adds to the error of a session that could not allocate what of the
// recipe takes less memory.
func (t *run) lessMemory(err error) error {
	if !errors.Is(err, runtime.ErrMemory) {
		return err
	}
	r := t.recipe
	ways := []string{fmt.Sprintf("lower batch, now %d", r.Batch)}
	if parts := r.Parts(); r.Batch/parts > 1 {
		more := parts + 1
		for r.Batch%more != 0 {
			more++
		}
		ways = append(ways, fmt.Sprintf("or take it in parts (accumulate: %d)", more))
	}
	if t.data.Size.H > 32 {
		ways = append(ways, fmt.Sprintf("or make the images smaller (data.size, now %d)", t.data.Size.H))
	}
	if fits := t.fittingBatch(); fits != "" {
		err = fmt.Errorf("%w; %s", err, fits)
	}
	return fmt.Errorf("%w; %s", err, strings.Join(append(ways, "or take a smaller model"), ", "))
}

// batchesAhead is how many batches a run's loader has in memory at a time.
const batchesAhead = 4

// checkMemory refuses a batch that cannot be, before Go runs out of memory in
// preparing it, which no program survives.
func checkMemory(r *recipe.Recipe, d *data.Dataset) error {
	has := memoryLimit()
	image := 4 * float64(d.Size.C) * float64(d.Size.H) * float64(d.Size.W)
	need := batchesAhead * float64(r.Batch) * image
	if has <= 0 || need < has {
		return nil
	}
	most := int(has / 2 / image / batchesAhead)
	return fmt.Errorf("batch %d of %d×%d×%d images does not fit: preparing %d batches ahead takes %.1f GiB, and this process may have %.1f; lower batch (to at most %d, less what the model needs) or the size of the images",
		r.Batch, d.Size.C, d.Size.H, d.Size.W, batchesAhead, need/(1<<30), has/(1<<30), most)
}

// memoryLimit is what the process can have at most, in bytes; 0 if unknown.
func memoryLimit() float64 {
	limit := 0.0
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		limit = (float64(info.Totalram) + float64(info.Totalswap)) * float64(info.Unit)
	}
	var space syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_AS, &space) == nil && space.Cur < 1<<62 {
		limit = min(limit, float64(space.Cur))
	}
	return limit
}

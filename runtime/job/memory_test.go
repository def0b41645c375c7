package job

import (
	"strings"
	"testing"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// TestCheckMemory: a batch that no machine holds is refused before it is made.
func TestCheckMemory(t *testing.T) {
	d := &data.Dataset{Size: pixel.Size{C: 3, H: 4096, W: 4096}}
	r := recipe.Default()
	r.Batch = 1 << 20
	err := checkMemory(r, d)
	if err == nil || !strings.Contains(err.Error(), "batch 1048576 of 3×4096×4096 images does not fit") {
		t.Errorf("error %v", err)
	}
	d.Size = pixel.Size{C: 3, H: 32, W: 32}
	r.Batch = 128
	if err := checkMemory(r, d); err != nil {
		t.Error(err)
	}
}

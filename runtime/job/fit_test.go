package job

import (
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/models"
)

func TestLargestBatch(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		batch      int
		limit      int64
		fixed, per int64 // of the values' memory
		want       int
	}{
		// 1.3·(0.2 + n·0.01) ≤ 8: n ≤ 595.
		{1024, 8 * gib, gib / 5, gib / 100, 592},
		{512, 80 * gib, gib, gib, 56},
		{10, 8 * gib, gib, gib, 5},
		{8, gib, 2 * gib, gib, 0}, // not even one
		// The estimate says that it fits, and it did not: just below.
		{64, 8 * gib, 0, gib / 1000, 56},
	} {
		got, err := largestBatch(c.batch, c.limit, func(n int) (int64, error) { return c.fixed + int64(n)*c.per, nil })
		if err != nil || got != c.want {
			t.Errorf("batch %d, limit %d: %d, want %d (%v)", c.batch, c.limit, got, c.want, err)
		}
	}
}

// TestPeakOfStep: the estimate grows with the batch in proportion, and is of
// the size of the activations that the backward pass needs.
func TestPeakOfStep(t *testing.T) {
	peak := func(batch int) float64 {
		g, err := artifact.StepGraph(artifact.Spec{Model: "resnet20", Config: models.Config{Classes: 10, Input: [3]int{3, 32, 32}}, Optimizer: "sgd", Batch: batch})
		if err != nil {
			t.Fatal(err)
		}
		return float64(g.PeakBytes()) / (1 << 20)
	}
	a, b := peak(64), peak(128)
	image := (b - a) / 64
	// 19 maps before and after a norm, of 64 KiB down to 16: 1.44 MiB.
	if image < 1.3 || image > 2 || a > 72*image {
		t.Errorf("%.2f MiB an image, %.0f MiB for 64", image, a)
	}
}

package artifact_test

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/check"
)

// TestNoise: the random numbers of dropout and stochastic depth are laid out,
// drawn with the asked mean, and are a function of seed and step.
func TestNoise(t *testing.T) {
	s := spec("resnet8", map[string]string{"dropout": "0.25", "stochastic_depth": "0.5"})
	s.Batch = 64
	set, err := artifact.Build(s)
	if err != nil {
		t.Fatal(err)
	}
	m := set.Manifest
	// Three blocks, one draw an image each, kept with 1 − l/3·0.5; then 64
	// features an image.
	want := []float64{1 - 0.5/3, 1 - 1./3, 0.5, 0.75}
	if len(m.Random) != len(want) || m.NoiseCount() != 3*64+64*64 {
		t.Fatalf("%d kinds of random numbers, %d in all", len(m.Random), m.NoiseCount())
	}
	dst := make([]float32, m.NoiseCount())
	sums, squares := make([]float64, len(want)), make([]float64, len(want))
	const steps = 200
	for step := range steps {
		m.FillNoise(dst, 7, int64(step))
		for i, r := range m.Random {
			for _, v := range dst[r.Offset : r.Offset+r.Size] {
				if v != 0 && math.Abs(float64(v)-1/want[i]) > 1e-6 {
					t.Fatalf("%s drew %g", r.Name, v)
				}
				sums[i] += float64(v)
				squares[i] += float64(v) * float64(v)
			}
		}
	}
	for i, r := range m.Random {
		if math.Abs(r.Keep-want[i]) > 1e-9 {
			t.Errorf("%s keeps %g, want %g", r.Name, r.Keep, want[i])
		}
		n := float64(steps * r.Size)
		// The mean of v is 1, its variance 1/keep − 1.
		if d := math.Abs(sums[i]/n-1) / math.Sqrt((1/want[i]-1)/n); d > 4 {
			t.Errorf("%s: mean %g is %.1f deviations off", r.Name, sums[i]/n, d)
		}
	}
	again := make([]float32, len(dst))
	m.FillNoise(again, 7, steps-1)
	if !equal(dst, again) {
		t.Error("the same step draws other numbers")
	}
	m.FillNoise(again, 8, steps-1)
	if equal(dst, again) {
		t.Error("another seed draws the same numbers")
	}
	dir := t.TempDir()
	if err := set.Write(dir); err != nil {
		t.Fatal(err)
	}
	if back, err := artifact.Read(dir); err != nil || back.NoiseCount() != m.NoiseCount() {
		t.Errorf("read back: %v", err)
	}
	if _, err := check.File(filepath.Join(dir, artifact.StepFile)); err != nil {
		t.Error(err)
	}
}

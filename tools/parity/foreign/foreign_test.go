package main

import (
	"path/filepath"
	"testing"

	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestFixtures compares the small committed models with PyTorch: gradients of
// every operator that the larger ones have too, running statistics, evaluation
// with an open batch, and a second step.
func TestFixtures(t *testing.T) {
	ortest.Open(t)
	paths, err := filepath.Glob("../../../testdata/golden/foreign/*.onnx")
	if err != nil || len(paths) != 4 {
		t.Fatalf("models %v, %v", paths, err)
	}
	for _, path := range paths {
		for _, w := range ways() {
			t.Run(filepath.Base(path)+"/"+w.name, func(t *testing.T) {
				f, err := compare(path, 0, w)
				if err != nil {
					t.Fatal(err)
				}
				if !f.within() || f.grad > f.allowed(0) {
					t.Errorf("differs from PyTorch: %+v", f)
				}
				if f.grad == 0 || f.parameters == 0 {
					t.Errorf("nothing was compared: %+v", f)
				}
				t.Logf("%+v", f)
			})
		}
	}
}

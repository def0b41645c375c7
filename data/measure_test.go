package data

import (
	"math"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/recipe"
)

// A recipe that takes its colours from the data has them after Measure, of the
// training images alone, and keeps them.
func TestMeasure(t *testing.T) {
	size, classes := pixel.Size{W: 2, H: 1, C: 3}, []string{"a", "b"}
	pix := []uint8{60, 80, 100, 120, 160, 100, 0, 0, 100, 180, 240, 100, 255, 0, 0, 0, 255, 0}
	all, err := NewMemory(size, classes, pix, []int{0, 1, 0})
	if err != nil {
		t.Fatal(err)
	}
	d := &Dataset{Name: "x", Classes: classes, Size: size, Train: Some(all, []uint32{1, 0})}
	r := recipe.Default()
	if err := r.Set("augment=[mirror, {name: pca_colour, from: data}]"); err != nil {
		t.Fatal(err)
	}
	if r, err = r.Resolve(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.BuildAugment(size); err == nil || !strings.Contains(err.Error(), "augment.1.from: the components of the data are not measured yet") {
		t.Errorf("unmeasured: %v", err)
	}
	before, _ := r.Hash()
	if err := Measure(d, r); err != nil {
		t.Fatal(err)
	}
	if _, err := r.BuildAugment(size); err != nil {
		t.Error(err)
	}
	// Lengths 100, 200, 0, 300 along (3, 4, 0)/5.
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := recipe.Parse(text, "r.yaml")
	if err != nil {
		t.Fatal(err)
	}
	values, vectors := back.Augment[1].Options["values"].([]any), back.Augment[1].Options["vectors"].([]any)
	if v := values[0].(float64); math.Abs(v-12500.0/(255*255)) > 1e-12 {
		t.Errorf("values %v", values)
	}
	if v := vectors[3].(float64); math.Abs(math.Abs(v)-0.8) > 1e-9 {
		t.Errorf("vectors %v", vectors)
	}
	after, _ := r.Hash()
	if back, err = back.Resolve(); err != nil {
		t.Fatal(err)
	}
	again, _ := back.Hash()
	if before == after || after != again {
		t.Errorf("hashes %s, %s, read back %s", before, after, again)
	}
	// What was measured stays, whatever the data is by then.
	d.Train = Some(all, []uint32{2})
	if err := Measure(d, back); err != nil {
		t.Fatal(err)
	}
	if h, _ := back.Hash(); h != after {
		t.Error("measured a second time")
	}
}

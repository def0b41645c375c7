package recipe

import (
	"math"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel"
	"github.com/ortrain/ortrain/tricks/target"
)

func TestBuildSchedule(t *testing.T) {
	r := resolve(t, parse(t, "batch: 256\nepochs: 11\nschedule: {lr: 0.4, linear_scaling: true}"))
	s, err := r.BuildSchedule(10)
	if err != nil {
		t.Fatal(err)
	}
	for step, want := range map[int]float64{0: 0, 5: 0.2, 10: 0.4, 60: 0.2, 110: 0} {
		if got := s.LR(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("LR(%d) = %v, want %v", step, got, want)
		}
	}
	r = resolve(t, parse(t, "batch: 128\nschedule: {name: constant, lr: 0.1, linear_scaling: true, warmup: none}"))
	if s, err = r.BuildSchedule(3); err != nil || s.LR(5) != 0.05 || r.BaseLR() != 0.05 {
		t.Errorf("scaled: %v, %v", r.BaseLR(), err)
	}
	r = parse(t, "epochs: 2\nschedule:\n  warmup:\n    steps: 100")
	if _, err := r.BuildSchedule(50); err == nil || err.Error() != "r.yaml:3: schedule.warmup: takes 100 steps but the run has only 100; shorten it or train longer" {
		t.Errorf("long warm-up: %v", err)
	}
	r = parse(t, "schedule:\n  floor: 0.5")
	if _, err := r.BuildSchedule(50); err == nil || err.Error() != "r.yaml:2: schedule.floor: 0.5 is above the learning rate 0.1" {
		t.Errorf("high floor: %v", err)
	}
}

func TestBuildAugmentAndTarget(t *testing.T) {
	r := resolve(t, parse(t, everything))
	c, err := r.BuildAugment(pixel.Size{W: 32, H: 32, C: 3})
	if err != nil || c.Out() != (pixel.Size{W: 32, H: 32, C: 3}) {
		t.Errorf("augment: %v", err)
	}
	if _, err := r.BuildNormalise(pixel.Size{W: 28, H: 28, C: 1}); err == nil || err.Error() != "r.yaml:13: data.mean: normalise: mean and std have 3 channels, the images 1" {
		t.Errorf("channels: %v", err)
	}
	chain, err := r.BuildTarget(target.Info{Classes: 5})
	if err != nil {
		t.Fatal(err)
	}
	row := []float32{0, 0, 1, 0, 0}
	chain.Shape(row, 5)
	if math.Abs(float64(row[2])-0.8) > 1e-6 || math.Abs(float64(row[0])-0.05) > 1e-6 {
		t.Errorf("row %v", row)
	}
	if _, err := r.BuildTarget(target.Info{Classes: 1}); err == nil || !strings.Contains(err.Error(), "target.label_smoothing: needs at least two classes") {
		t.Errorf("one class: %v", err)
	}
	r = parse(t, "augment:\n  - name: crop\n    size: 99")
	if _, err := resolve(t, r).BuildAugment(pixel.Size{W: 32, H: 32, C: 3}); err == nil || err.Error() != "r.yaml:3: augment.0.size: 99 does not fit into 32×32×3 padded by 4" {
		t.Errorf("crop: %v", err)
	}
	if chain, err := resolve(t, Default()).BuildTarget(target.Info{Classes: 10}); err != nil || len(chain) != 0 {
		t.Errorf("no target tricks: %v, %v", chain, err)
	}
}

package schedule

import (
	"encoding/json"
	"math"
	"testing"
)

// Observations and rates of PyTorch's ReduceLROnPlateau(factor=0.5,
// patience=2, cooldown=1, min_lr=0.02, threshold=0.01), printed by
// testdata/pytorch.py.
var (
	plateauSeen  = []float64{1.0, 0.9, 0.895, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}
	plateauRates = []float64{0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.025, 0.025, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02}
)

func newPlateau(t *testing.T) Schedule {
	t.Helper()
	o := &PlateauOptions{Metric: ValidationLoss, Factor: 0.5, Patience: 2, Cooldown: 1, Threshold: 0.01, Floor: 0.02}
	s, err := Plan{LR: 0.1, Steps: 1000, StepsPerEpoch: 10, Warmup: &GradualOptions{Epochs: 1}, After: o}.Build()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPlateauAgainstPyTorch(t *testing.T) {
	s := newPlateau(t)
	Observe(s, 5, Metrics{ValidationLoss: 0.001}) // during the warm-up: ignored
	for i, v := range plateauSeen {
		step := 10 + 10*(i+1)
		Observe(s, step, Metrics{TrainLoss: 9}) // another metric: ignored
		Observe(s, step, Metrics{ValidationLoss: v})
		if got := s.LR(step); !approx(got, plateauRates[i]) {
			t.Errorf("after observation %d: LR = %v, want %v", i, got, plateauRates[i])
		}
	}
	if got := s.LR(15); !approx(got, 0.1) {
		t.Errorf("the past changed: LR(15) = %v", got)
	}
}

// A run that is interrupted after any observation goes on as the other.
func TestPlateauResumes(t *testing.T) {
	whole := newPlateau(t)
	for i, v := range plateauSeen {
		state, err := SaveState(whole)
		if err != nil {
			t.Fatal(err)
		}
		resumed := newPlateau(t)
		if err := LoadState(resumed, state); err != nil {
			t.Fatal(err)
		}
		step := 20 + 10*i
		Observe(whole, step, Metrics{ValidationLoss: v})
		Observe(resumed, step, Metrics{ValidationLoss: v})
		a, _ := SaveState(whole)
		b, _ := SaveState(resumed)
		if string(a) != string(b) || whole.LR(step) != resumed.LR(step) {
			t.Fatalf("after observation %d: %s and %s", i, a, b)
		}
	}
}

func TestPlateauIgnoresNaN(t *testing.T) {
	s, _ := (&PlateauOptions{Metric: TrainLoss, Factor: 0.5, Patience: 1}).Build(Span{LR: 1, Steps: 100, StepsPerEpoch: 1})
	for step, v := range []float64{math.NaN(), math.Inf(1), 1, 1, 1} {
		Observe(s, step, Metrics{TrainLoss: v})
		if _, err := SaveState(s); err != nil {
			t.Errorf("after %v: %v", v, err)
		}
	}
}

func TestUntilError(t *testing.T) {
	build := func() Schedule {
		s, err := Plan{LR: 0.1, Steps: 640, StepsPerEpoch: 10, Warmup: &UntilErrorOptions{Factor: 0.1, Error: 0.8},
			After: &MultistepOptions{Gamma: 0.1}}.Build()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := build()
	Observe(s, 10, Metrics{TrainError: 0.85})
	if got := s.LR(10); !approx(got, 0.01) {
		t.Errorf("before the switch: %v", got)
	}
	Observe(s, 20, Metrics{TrainError: 0.79})
	Observe(s, 30, Metrics{TrainError: 0.95}) // no way back
	resumed := build()
	state, err := SaveState(s)
	if err != nil {
		t.Fatal(err)
	}
	if want := `[{"switch":20}]`; string(state) != want {
		t.Errorf("state %s, want %s", state, want)
	}
	if err := LoadState(resumed, state); err != nil {
		t.Fatal(err)
	}
	for _, s := range []Schedule{s, resumed} {
		for step, want := range map[int]float64{0: 0.01, 19: 0.01, 20: 0.1, 319: 0.1, 320: 0.01, 480: 0.001} {
			if got := s.LR(step); !approx(got, want) {
				t.Errorf("LR(%d) = %v, want %v", step, got, want)
			}
		}
	}
	if step, ok := s.(*UntilError).Switched(); !ok || step != 20 {
		t.Errorf("Switched() = %d, %v", step, ok)
	}
}

func TestStateOfOtherSchedules(t *testing.T) {
	cosine := Cosine{Base: 1, Steps: 10}
	if state, err := SaveState(cosine); state != nil || err != nil {
		t.Errorf("SaveState = %s, %v", state, err)
	}
	if err := LoadState(cosine, nil); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{`[{}]`, `{`, `7`} {
		if err := LoadState(cosine, json.RawMessage(bad)); err == nil {
			t.Errorf("LoadState(%s) did not fail", bad)
		}
	}
	if err := LoadState(newPlateau(t), nil); err == nil {
		t.Error("a plateau without its state did not fail")
	}
	if err := LoadState(newPlateau(t), json.RawMessage(`["x"]`)); err == nil {
		t.Error("a plateau with a broken state did not fail")
	}
}

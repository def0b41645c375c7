package schedule

import (
	"math"
	"testing"

	"github.com/ortrain/ortrain/tricks"
)

// The literals are the rates of PyTorch's schedulers of the named classes, as
// printed by testdata/pytorch.py.
func TestAgainstPyTorch(t *testing.T) {
	tests := []struct {
		name string
		s    Schedule
		want map[int]float64
	}{
		{"CosineAnnealingLR", Cosine{Base: 0.1, Floor: 0.001, Steps: 100}, map[int]float64{
			0: 0.1, 1: 0.0999755747381, 10: 0.0975772975566, 50: 0.0505, 75: 0.0154982143313, 99: 0.0010244252619, 100: 0.001}},
		{"StepLR", Step{Base: 0.05, Gamma: 0.1, Every: 30}, map[int]float64{
			0: 0.05, 29: 0.05, 30: 0.005, 59: 0.005, 60: 0.0005, 89: 0.0005}},
		{"MultiStepLR", Multistep{Base: 0.1, Gamma: 0.1, Milestones: []int{32, 48}}, map[int]float64{
			0: 0.1, 31: 0.1, 32: 0.01, 47: 0.01, 48: 0.001, 63: 0.001}},
		{"PolynomialLR", Polynomial{Base: 0.1, Power: 2, Steps: 10}, map[int]float64{
			0: 0.1, 1: 0.081, 5: 0.025, 9: 0.001, 10: 0, 12: 0}},
		{"ExponentialLR", Exponential{Base: 0.1, Gamma: 0.9, StepsPerEpoch: 1, Stairs: true}, map[int]float64{
			0: 0.1, 1: 0.09, 2: 0.081, 10: 0.03486784401, 19: 0.0135085171767}},
		{"OneCycleLR cos", OneCycle{Peak: 0.1, Rise: 0.3, Divisor: 25, FinalDivisor: 1e4, Steps: 100}, map[int]float64{
			0: 0.004, 1: 0.00428137805659, 10: 0.0295163948464, 28: 0.0997186219434, 29: 0.1, 30: 0.0999496535285,
			60: 0.0589280090286, 98: 5.07464715476e-05, 99: 4e-07, 150: 4e-07}},
		{"OneCycleLR linear", OneCycle{Peak: 0.1, Rise: 0.25, Divisor: 10, FinalDivisor: 100, Steps: 20, Linear: true}, map[int]float64{
			0: 0.01, 1: 0.0325, 3: 0.0775, 4: 0.1, 5: 0.09334, 12: 0.04672, 18: 0.00676, 19: 0.0001}},
		{"CyclicLR triangular", Triangular{Low: 0.01, Peak: 0.1, Decay: 1, Half: 4}, map[int]float64{
			0: 0.01, 1: 0.0325, 3: 0.0775, 4: 0.1, 5: 0.0775, 8: 0.01, 9: 0.0325, 12: 0.1}},
		{"CyclicLR triangular2", Triangular{Low: 0.01, Peak: 0.1, Decay: 0.5, Half: 4}, map[int]float64{
			0: 0.01, 1: 0.0325, 4: 0.1, 8: 0.01, 12: 0.055, 13: 0.04375, 20: 0.0325, 21: 0.026875}},
		{"CosineAnnealingWarmRestarts x2", Restarts{Base: 0.1, Floor: 0.001, First: 10, Growth: 2}, map[int]float64{
			0: 0.1, 5: 0.0505, 9: 0.00342270244339, 10: 0.1, 20: 0.0505, 29: 0.00160942714054, 30: 0.1, 50: 0.0505,
			69: 0.00115259198021, 70: 0.1}},
		{"CosineAnnealingWarmRestarts x1", Restarts{Base: 0.1, First: 10, Growth: 1}, map[int]float64{
			0: 0.1, 5: 0.05, 9: 0.00244717418524, 10: 0.1, 19: 0.00244717418524, 20: 0.1}},
		{"LinearLR", Gradual{Steps: 10, From: 0.25, After: Constant(0.1)}, map[int]float64{
			0: 0.025, 1: 0.0325, 5: 0.0625, 9: 0.0925, 10: 0.1, 11: 0.1}},
	}
	for _, tt := range tests {
		for step, want := range tt.want {
			if got := tt.s.LR(step); math.Abs(got-want) > 1e-11*math.Max(1, math.Abs(want)) {
				t.Errorf("%s: LR(%d) = %.12g, want %.12g", tt.name, step, got, want)
			}
		}
	}
}

func approx(a, b float64) bool { return math.Abs(a-b) <= 1e-12 }

func TestPlans(t *testing.T) {
	tests := []struct {
		name string
		plan Plan
		want map[int]float64
	}{
		{"warm-up from zero, cosine not counting it",
			Plan{LR: 0.4, Steps: 110, StepsPerEpoch: 10, Warmup: &GradualOptions{Epochs: 1}, After: &CosineOptions{}},
			map[int]float64{0: 0, 1: 0.04, 5: 0.2, 9: 0.36, 10: 0.4, 60: 0.2, 110: 0}},
		{"warm-up from a third, in steps",
			Plan{LR: 0.3, Steps: 20, StepsPerEpoch: 10, Warmup: &GradualOptions{Steps: 4, From: 1.0 / 3}, After: &ConstantOptions{}},
			map[int]float64{0: 0.1, 1: 0.15, 2: 0.2, 3: 0.25, 4: 0.3, 19: 0.3}},
		{"multiplier: from lr to 8 lr",
			Plan{LR: 0.1, Steps: 100, StepsPerEpoch: 10, Warmup: &GradualOptions{Epochs: 0.5, Multiplier: 8}, After: &ConstantOptions{}},
			map[int]float64{0: 0.1, 1: 0.24, 4: 0.66, 5: 0.8, 50: 0.8}},
		{"constant warm-up",
			Plan{LR: 0.1, Steps: 1000, StepsPerEpoch: 100, Warmup: &ConstantWarmupOptions{Steps: 400, Factor: 0.1}, After: &ConstantOptions{}},
			map[int]float64{0: 0.01, 399: 0.01, 400: 0.1}},
		{"milestones count from the start of the run",
			Plan{LR: 1, Steps: 900, StepsPerEpoch: 10, Warmup: &GradualOptions{Epochs: 5}, After: &MultistepOptions{Milestones: []float64{30, 60, 80}, Gamma: 0.1}},
			map[int]float64{25: 0.5, 50: 1, 299: 1, 300: 0.1, 599: 0.1, 600: 0.01, 799: 0.01, 800: 0.001}},
		{"default milestones",
			Plan{LR: 1, Steps: 640, StepsPerEpoch: 10, Warmup: &GradualOptions{Epochs: 1}, After: &MultistepOptions{Gamma: 0.1}},
			map[int]float64{319: 1, 320: 0.1, 479: 0.1, 480: 0.01, 639: 0.01}},
		{"steps count from the start of the run",
			Plan{LR: 0.05, Steps: 900, StepsPerEpoch: 10, Warmup: &GradualOptions{Epochs: 1}, After: &StepOptions{StepSize: 30, Gamma: 0.1}},
			map[int]float64{299: 0.05, 300: 0.005, 600: 0.0005}},
		{"no warm-up",
			Plan{LR: 1, Steps: 4, StepsPerEpoch: 2, After: &PolynomialOptions{Power: 1}},
			map[int]float64{0: 1, 1: 0.75, 3: 0.25, 4: 0}},
		{"exponential at every step",
			Plan{LR: 1, Steps: 40, StepsPerEpoch: 10, After: &ExponentialOptions{Gamma: 0.25}},
			map[int]float64{0: 1, 5: 0.5, 10: 0.25, 20: 0.0625}},
		{"one cycle", Plan{LR: 0.1, Steps: 100, StepsPerEpoch: 10, After: &OneCycleOptions{Rise: 0.3, Divisor: 25, FinalDivisor: 1e4}},
			map[int]float64{0: 0.004, 29: 0.1, 99: 4e-7}},
		{"triangular", Plan{LR: 0.1, Steps: 100, StepsPerEpoch: 2, After: &TriangularOptions{Low: 0.1, Half: 2, Decay: 1}},
			map[int]float64{0: 0.01, 4: 0.1, 8: 0.01}},
		{"restarts", Plan{LR: 0.1, Steps: 100, StepsPerEpoch: 2, After: &RestartsOptions{First: 5, Growth: 2}},
			map[int]float64{0: 0.1, 5: 0.05, 10: 0.1, 20: 0.05, 30: 0.1}},
	}
	for _, tt := range tests {
		s, err := tt.plan.Build()
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for step, want := range tt.want {
			if got := s.LR(step); !approx(got, want) {
				t.Errorf("%s: LR(%d) = %.12g, want %.12g", tt.name, step, got, want)
			}
		}
	}
}

// Gradual warm-up before every schedule: the step before the seam, the seam
// and the successor's first rate lie on one line, and rates rise strictly.
func TestGradualIsContinuousAtTheSeam(t *testing.T) {
	for _, name := range Schedules.Names() {
		o, err := Schedules.Defaults(name)
		if err != nil {
			t.Fatal(err)
		}
		const warm = 50
		s, err := Plan{LR: 0.4, Steps: 2000, StepsPerEpoch: 25, Warmup: &GradualOptions{Steps: warm}, After: o}.Build()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		after, start := s.(Wrapper).Unwrap()
		if start != warm || s.LR(warm) != after.LR(0) {
			t.Errorf("%s: LR(%d) = %v, the schedule's own LR(0) = %v", name, warm, s.LR(warm), after.LR(0))
		}
		for i := 1; i <= warm; i++ {
			if rise := s.LR(i) - s.LR(i-1); math.Abs(rise-after.LR(0)/warm) > 1e-12 {
				t.Errorf("%s: rises by %v at step %d", name, rise, i)
			}
		}
		for i := range 3000 {
			if lr := s.LR(i); !(lr >= 0 && lr <= 0.4+1e-12) {
				t.Fatalf("%s: LR(%d) = %v", name, i, lr)
			}
		}
	}
}

func TestLinearScaling(t *testing.T) {
	for _, tt := range []struct {
		base  float64
		batch int
		want  float64
	}{{0.1, 256, 0.1}, {0.1, 8192, 3.2}, {0.1, 128, 0.05}, {0.2, 64, 0.05}} {
		if got := LinearScaling(tt.base, tt.batch); !approx(got, tt.want) {
			t.Errorf("LinearScaling(%v, %d) = %v, want %v", tt.base, tt.batch, got, tt.want)
		}
	}
}

func TestDefaultsAreValidAndDocumented(t *testing.T) {
	for _, name := range Schedules.Names() {
		o, _ := Schedules.Defaults(name)
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range Warmups.Names() {
		o, _ := Warmups.Defaults(name)
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(tricks.All(tricks.Schedule)); n != len(Schedules.Names()) {
		t.Errorf("%d schedules in the catalogue, %d in the registry", n, len(Schedules.Names()))
	}
}

func TestInvalidOptions(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		o    interface{ Validate() error }
		want string
	}{
		{&CosineOptions{Floor: -1}, "floor: must not be negative, got -1"},
		{&StepOptions{StepSize: 0, Gamma: 0.1}, "step_size: must be above 0, got 0"},
		{&StepOptions{StepSize: 1, Gamma: 1.5}, "gamma: must be above 0 and at most 1, got 1.5"},
		{&MultistepOptions{Milestones: []float64{30, 30}, Gamma: 0.1}, "milestones: must be positive and ascending, got [30 30]"},
		{&MultistepOptions{Milestones: []float64{0}, Gamma: 0.1}, "milestones: must be positive and ascending, got [0]"},
		{&PolynomialOptions{Power: nan}, "power: must be above 0, got NaN"},
		{&ExponentialOptions{}, "gamma: must be above 0 and at most 1, got 0"},
		{&OneCycleOptions{Rise: 1, Divisor: 1, FinalDivisor: 1}, "rise: must be above 0 and below 1, got 1"},
		{&OneCycleOptions{Rise: 0.5, Divisor: 0.5, FinalDivisor: 1}, "divisor: must be at least 1, got 0.5"},
		{&TriangularOptions{Low: 1, Half: 1, Decay: 1}, "low: a fraction of the base rate, at least 0 and below 1, got 1"},
		{&RestartsOptions{First: 1}, "growth: must be 1 to 1000, got 0"},
		{&PlateauOptions{Metric: "trainloss"}, `metric: unknown metric "trainloss"; did you mean "train_loss"?`},
		{&PlateauOptions{Metric: TrainLoss, Factor: 1}, "factor: must be above 0 and below 1, got 1"},
		{&GradualOptions{From: 1}, "from: a fraction of the peak, at least 0 and below 1, got 1"},
		{&GradualOptions{Multiplier: 1}, "multiplier: must be above 1, got 1; leave it out to warm up to lr itself"},
		{&GradualOptions{Multiplier: 2, From: 0.5}, "from: give from or multiplier, not both: with a multiplier the start is lr"},
		{&GradualOptions{Epochs: 1, Steps: 1}, "steps: give epochs or steps, not both"},
		{&GradualOptions{Epochs: -1}, "epochs: must be 0 to 1000000, got -1"},
		{&ConstantWarmupOptions{Factor: 0}, "factor: must be above 0 and at most 1, got 0"},
		{&UntilErrorOptions{Factor: 0.1, Error: 80}, "error: a fraction above 0 and at most 1, got 80"},
	}
	for _, tt := range tests {
		if err := tt.o.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("%+v: got %v, want %s", tt.o, err, tt.want)
		}
	}
}

func TestInvalidPlans(t *testing.T) {
	tests := []struct {
		plan Plan
		want string
	}{
		{Plan{LR: 1, Steps: 10, StepsPerEpoch: 10, Warmup: &GradualOptions{Epochs: 1}, After: &ConstantOptions{}},
			"warmup: takes 10 steps but the run has only 10; shorten it or train longer"},
		{Plan{LR: 0.1, Steps: 10, StepsPerEpoch: 10, After: &CosineOptions{Floor: 0.5}}, "floor: 0.5 is above the learning rate 0.1"},
		{Plan{LR: 0.1, After: &CosineOptions{}}, "a schedule of 0 steps, 0 per epoch: both must be positive"},
	}
	for _, tt := range tests {
		if _, err := tt.plan.Build(); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

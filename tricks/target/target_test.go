package target

import (
	"math"
	"math/rand/v2"
	"testing"
)

func close32(a, b []float32) bool {
	for i := range a {
		if math.Abs(float64(a[i]-b[i])) > 1e-6 {
			return false
		}
	}
	return len(a) == len(b)
}

func TestOneHot(t *testing.T) {
	dst := []float32{9, 9, 9, 9, 9, 9}
	OneHot(dst, []int{2, 0}, 3)
	if want := []float32{0, 0, 1, 1, 0, 0}; !close32(dst, want) {
		t.Errorf("got %v, want %v", dst, want)
	}
	for _, f := range []func(){
		func() { OneHot(dst, []int{3, 0}, 3) },
		func() { OneHot(dst, []int{-1, 0}, 3) },
		func() { OneHot(dst, []int{0}, 3) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			f()
		}()
	}
}

func TestLabelSmoothing(t *testing.T) {
	tests := []struct {
		s    LabelSmoothing
		k    int
		want []float32 // the row of label 1
	}{
		{LabelSmoothing{0.1, PyTorch}, 10, []float32{0.01, 0.91, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01}},
		{LabelSmoothing{0.1, Survey}, 11, []float32{0.01, 0.9, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01}},
		{LabelSmoothing{0.3, PyTorch}, 2, []float32{0.15, 0.85}},
		{LabelSmoothing{0.3, Survey}, 2, []float32{0.3, 0.7}},
		{LabelSmoothing{0, PyTorch}, 3, []float32{0, 1, 0}},
		{LabelSmoothing{0, Survey}, 3, []float32{0, 1, 0}},
	}
	for _, tt := range tests {
		row := make([]float32, tt.k)
		OneHot(row, []int{1}, tt.k)
		Chain{tt.s}.Shape(row, tt.k)
		if !close32(row, tt.want) {
			t.Errorf("%+v: got %v, want %v", tt.s, row, tt.want)
		}
	}
}

// Rows sum to one; smoothing commutes with mixing; the two forms agree after
// converting ε.
func TestLabelSmoothingProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		k := 2 + r.IntN(20)
		eps := r.Float64() * 0.9
		form := []Form{PyTorch, Survey}[r.IntN(2)]
		s := LabelSmoothing{eps, form}
		a, b, lambda := make([]float32, k), make([]float32, k), r.Float32()
		OneHot(a, []int{r.IntN(k)}, k)
		OneHot(b, []int{r.IntN(k)}, k)
		mixed := make([]float32, k)
		for i := range mixed {
			mixed[i] = lambda*a[i] + (1-lambda)*b[i]
		}
		s.Shape(a, k)
		s.Shape(b, k)
		s.Shape(mixed, k)
		after := make([]float32, k)
		var sum float64
		for i := range after {
			after[i] = lambda*a[i] + (1-lambda)*b[i]
			sum += float64(mixed[i])
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Fatalf("%+v: row sums to %v", s, sum)
		}
		if !close32(mixed, after) {
			t.Fatalf("%+v: smooth(mix) %v, mix(smooth) %v", s, mixed, after)
		}
		same := LabelSmoothing{eps * float64(k) / float64(k-1), PyTorch}
		x, y := make([]float32, k), make([]float32, k)
		OneHot(x, []int{0}, k)
		OneHot(y, []int{0}, k)
		same.Shape(x, k)
		LabelSmoothing{eps, Survey}.Shape(y, k)
		if !close32(x, y) {
			t.Fatalf("ε %v: forms differ after conversion: %v, %v", eps, x, y)
		}
	}
}

func TestLabelSmoothingErrors(t *testing.T) {
	tests := []struct {
		o    LabelSmoothingOptions
		want string
	}{
		{LabelSmoothingOptions{-0.1, "pytorch"}, "epsilon: must be at least 0 and below 1, got -0.1"},
		{LabelSmoothingOptions{1, "pytorch"}, "epsilon: must be at least 0 and below 1, got 1"},
		{LabelSmoothingOptions{math.NaN(), "pytorch"}, "epsilon: must be at least 0 and below 1, got NaN"},
		{LabelSmoothingOptions{0.1, "torch"}, `form: unknown form "torch"; did you mean "pytorch"?`},
	}
	for _, tt := range tests {
		if err := tt.o.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("%+v: got %v, want %s", tt.o, err, tt.want)
		}
	}
	o, err := Shapers.Defaults("label_smoothing")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	if s, err := o.Build(Info{Classes: 10}); err != nil || s != (LabelSmoothing{0.1, PyTorch}) {
		t.Errorf("default: %v, %v", s, err)
	}
	if _, err := o.Build(Info{Classes: 1}); err == nil || err.Error() != "needs at least two classes, the data has 1" {
		t.Errorf("one class: %v", err)
	}
}

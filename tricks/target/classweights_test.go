package target

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestClassWeights(t *testing.T) {
	info := Info{Classes: 3, Counts: []int{60, 30, 10}}
	for _, tt := range []struct {
		o    ClassWeightsOptions
		want []float32
	}{
		{ClassWeightsOptions{Form: "balanced"}, []float32{100. / 180, 100. / 90, 100. / 30}},
		{ClassWeightsOptions{Form: "given", Weights: []float64{0.5, 1, 7}}, []float32{0.5, 1, 7}},
		{ClassWeightsOptions{Form: "effective", Beta: 0}, []float32{1, 1, 1}},
		// β = 0.9: effective numbers 9.9820…, 9.5761…, 6.5132….
		{ClassWeightsOptions{Form: "effective", Beta: 0.9}, []float32{0.938108, 0.977875, 1.437726}},
		{ClassWeightsOptions{Form: "effective", Beta: 1 - 1e-9}, []float32{100. / 180, 100. / 90, 100. / 30}},
	} {
		if err := tt.o.Validate(); err != nil {
			t.Fatal(err)
		}
		s, err := tt.o.Build(info)
		if err != nil {
			t.Fatal(err)
		}
		if got := []float32(s.(ClassWeights)); !close32(got, tt.want) {
			t.Errorf("%+v: %v, want %v", tt.o, got, tt.want)
		}
		if tt.o.Form == "given" {
			continue
		}
		var mean float64
		for c, n := range info.Counts {
			mean += float64(n) / 100 * float64(s.(ClassWeights)[c])
		}
		if math.Abs(mean-1) > 1e-6 {
			t.Errorf("%+v: the mean weight is %v", tt.o, mean)
		}
	}
	rows := []float32{1, 0, 0, 0, 0.25, 0.75}
	Chain{ClassWeights{2, 4, 8}}.Shape(rows, 3)
	if want := []float32{2, 0, 0, 0, 1, 6}; !close32(rows, want) {
		t.Errorf("rows %v, want %v", rows, want)
	}
}

// The loss of weighted targets is the weighted loss, and its gradient by the
// logits, mass·softmax − t, agrees with differences: what the training graph
// computes for rows that do not sum to one.
func TestWeightedLoss(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const k = 4
	logits := make([]float64, k)
	for i := range logits {
		logits[i] = 3 * r.Float64()
	}
	softmax := func(z []float64) []float64 {
		p, sum := make([]float64, k), 0.0
		for i, v := range z {
			p[i] = math.Exp(v)
			sum += p[i]
		}
		for i := range p {
			p[i] /= sum
		}
		return p
	}
	row := []float32{0.1, 0.6, 0.3, 0}
	weighted := append([]float32{}, row...)
	w := ClassWeights{3, 0.5, 1, 2}
	w.Shape(weighted, k)
	loss := func(z []float64) (l float64) {
		for i, p := range softmax(z) {
			l -= float64(weighted[i]) * math.Log(p)
		}
		return l
	}
	want, mass, p := 0.0, 0.0, softmax(logits)
	for i := range row {
		want -= float64(w[i]) * float64(row[i]) * math.Log(p[i])
		mass += float64(weighted[i])
	}
	if got := loss(logits); math.Abs(got-want) > 1e-6 {
		t.Errorf("loss %v, want %v", got, want)
	}
	for i := range logits {
		up, down := append([]float64{}, logits...), append([]float64{}, logits...)
		up[i] += 1e-5
		down[i] -= 1e-5
		numeric := (loss(up) - loss(down)) / 2e-5
		if exact := mass*p[i] - float64(weighted[i]); math.Abs(exact-numeric) > 1e-6 {
			t.Errorf("gradient %d: %v, by differences %v", i, exact, numeric)
		}
	}
}

func TestClassWeightsErrors(t *testing.T) {
	for _, tt := range []struct {
		o    ClassWeightsOptions
		want string
	}{
		{ClassWeightsOptions{Form: "balance"}, `form: unknown form "balance"; did you mean "balanced"?`},
		{ClassWeightsOptions{Form: "given"}, "weights: form given needs a list with one weight a class"},
		{ClassWeightsOptions{Form: "balanced", Weights: []float64{1}}, "weights: given, but form balanced computes them; say form: given"},
		{ClassWeightsOptions{Form: "given", Weights: []float64{1, 0}}, "weights: must be above 0, got 0 for class 1"},
		{ClassWeightsOptions{Form: "effective", Beta: 1}, "beta: must be at least 0 and below 1, got 1"},
	} {
		if err := tt.o.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("%+v: got %v, want %s", tt.o, err, tt.want)
		}
	}
	for _, tt := range []struct {
		o    ClassWeightsOptions
		info Info
		want string
	}{
		{ClassWeightsOptions{Form: "given", Weights: []float64{1, 2}}, Info{Classes: 3}, "weights: 2 weights for the data's 3 classes"},
		{ClassWeightsOptions{Form: "balanced"}, Info{Classes: 3}, "form: balanced needs to know how many training images each class has"},
		{ClassWeightsOptions{Form: "balanced"}, Info{Classes: 2, Counts: []int{3, 0}}, "form: balanced cannot weight class 1, which has no training images; give the weights"},
	} {
		if _, err := tt.o.Build(tt.info); err == nil || err.Error() != tt.want {
			t.Errorf("%+v: got %v, want %s", tt.o, err, tt.want)
		}
	}
}

package runtime

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestScoreKnown(t *testing.T) {
	var s Score
	// Two images of six classes: the first right, the second ranked third.
	err := s.Add([]float32{
		0, 0, 1, 0, 0, 0,
		5, 4, 3, 2, 1, 0,
	}, []int{2, 2})
	if err != nil {
		t.Fatal(err)
	}
	// −log softmax by hand: log(5+e) − 1 and log(Σ e^k, k = 0…5) − 3.
	want := math.Log(5+math.E) - 1 + math.Log(1+math.E+math.Exp(2)+math.Exp(3)+math.Exp(4)+math.Exp(5)) - 3
	if s.Samples != 2 || s.Top1 != 1 || s.Top5 != 2 || math.Abs(s.Loss-want) > 1e-12 {
		t.Errorf("%+v, want a loss of %g", s, want)
	}
	if s.Accuracy() != 0.5 || s.Top5Accuracy() != 1 || math.Abs(s.MeanLoss()-want/2) > 1e-12 {
		t.Errorf("means %g %g %g", s.Accuracy(), s.Top5Accuracy(), s.MeanLoss())
	}
	var last Score
	if err := last.Add([]float32{5, 4, 3, 2, 1, 0}, []int{5}); err != nil {
		t.Fatal(err)
	}
	if last.Top5 != 0 {
		t.Error("the last of six is among the first five")
	}
	last.Merge(s)
	if last.Samples != 3 || last.Top1 != 1 || last.Top5 != 2 {
		t.Errorf("merged %+v", last)
	}
}

func TestScoreTies(t *testing.T) {
	// A model that answers the same for everything is right once in K.
	var s Score
	logits := make([]float32, 10*10)
	labels := make([]int, 10)
	for i := range labels {
		labels[i] = i
	}
	if err := s.Add(logits, labels); err != nil {
		t.Fatal(err)
	}
	if s.Top1 != 1 || s.Top5 != 5 || math.Abs(s.MeanLoss()-math.Log(10)) > 1e-12 {
		t.Errorf("%+v", s)
	}
}

func TestScoreIsStable(t *testing.T) {
	for _, c := range []struct {
		row  []float32
		want float64
	}{
		{[]float32{1e4, 1e4}, math.Ln2},
		{[]float32{-1e4, -1e4}, math.Ln2},
		{[]float32{0, 3e38}, 3e38},
		{[]float32{40, 0}, math.Log1p(math.Exp(-40))}, // 4e−18: below what 1 can hold
	} {
		got := crossEntropy(c.row, 0)
		if math.Abs(got-c.want) > 1e-6*c.want+1e-15 {
			t.Errorf("%v: %g, want %g", c.row, got, c.want)
		}
	}
}

func TestScoreRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, c := range map[string]struct {
		logits []float32
		labels []int
		says   string
	}{
		"label too large": {[]float32{1, 2}, []int{2}, "label 2 of image 0: the model has the classes 0 to 1"},
		"label negative":  {[]float32{1, 2}, []int{-1}, "label -1"},
		"not whole":       {[]float32{1, 2, 3}, []int{0, 0}, "3 logits for 2 labels"},
		"no logits":       {nil, []int{0}, "0 logits"},
	} {
		var s Score
		if err := s.Add(c.logits, c.labels); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, row := range [][]float32{{nan, 0}, {0, nan}, {inf, 0}, {0, inf}, {-inf, 0}, {-inf, -inf}} {
		var s Score
		if err := s.Add(row, []int{0}); !errors.Is(err, ErrNonFinite) {
			t.Errorf("%v: %v", row, err)
		}
	}
	var s Score
	if err := s.Add(nil, nil); err != nil || s.Accuracy() != 0 || s.MeanLoss() != 0 {
		t.Errorf("an empty batch: %+v, %v", s, err)
	}
}

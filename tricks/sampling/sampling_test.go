package sampling

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// set returns images of classes in turn until each class has its number.
func set(perClass ...int) Info {
	var labels []int
	left := slices.Clone(perClass)
	for more := true; more; {
		more = false
		for c := range left {
			if left[c] > 0 {
				left[c]--
				labels = append(labels, c)
				more = true
			}
		}
	}
	return Info{Len: len(labels), Classes: len(perClass), Label: func(i int) int { return labels[i] }}
}

func show(o Order, n int) []int {
	images := make([]int, n)
	for i := range images {
		images[i] = o.At(i)
	}
	return images
}

func classesOf(info Info, images []int) []int {
	n := make([]int, info.Classes)
	for _, i := range images {
		n[info.Label(i)]++
	}
	return n
}

func TestSharesAreExact(t *testing.T) {
	info := set(100, 10, 1, 0, 89)
	for _, c := range []struct {
		options Options
		want    []int
	}{
		{&ClassBalancedOptions{}, []int{50, 50, 50, 0, 50}},
		{&ClassBalancedOptions{Power: 1}, []int{100, 10, 1, 0, 89}},
		{&ClassBalancedOptions{Power: 0.5}, []int{85, 27, 8, 0, 80}},
		{&WeightedOptions{Weights: []float64{1, 1, 1, 1, 1}}, []int{100, 10, 1, 0, 89}},
		{&WeightedOptions{Weights: []float64{0, 10, 0, 5, 0}}, []int{0, 200, 0, 0, 0}},
		{&WeightedOptions{Weights: []float64{1, 10, 100, 1, 0}}, []int{67, 67, 66, 0, 0}},
	} {
		if err := c.options.Validate(); err != nil {
			t.Fatal(err)
		}
		s, err := c.options.Build(info)
		if err != nil {
			t.Fatal(err)
		}
		for epoch := range 3 {
			if got := classesOf(info, show(s.Epoch(5, epoch), info.Len)); !slices.Equal(got, c.want) {
				t.Errorf("%T %+v, epoch %d: %v per class, want %v", c.options, c.options, epoch, got, c.want)
			}
		}
	}
}

// Over epochs all images of a class come up before one does again.
func TestNoImageIsFavoured(t *testing.T) {
	info := set(97, 5, 30)
	s, err := (&ClassBalancedOptions{}).Build(info)
	if err != nil {
		t.Fatal(err)
	}
	shown := make([]int, info.Len)
	for epoch := range 7 {
		for _, i := range show(s.Epoch(1, epoch), info.Len) {
			shown[i]++
		}
		least, most := make([]int, 3), make([]int, 3)
		for c := range least {
			least[c] = math.MaxInt
		}
		for i, n := range shown {
			c := info.Label(i)
			least[c], most[c] = min(least[c], n), max(most[c], n)
		}
		for c := range least {
			if most[c]-least[c] > 1 {
				t.Errorf("after epoch %d an image of class %d was shown %d times, another %d", epoch, c, most[c], least[c])
			}
		}
	}
}

// An epoch of equal shares is well mixed: neighbours' classes are
// independent, and seeds and epochs differ.
func TestEpochsAreMixed(t *testing.T) {
	info := set(4000, 400, 40, 3560)
	s, err := (&ClassBalancedOptions{}).Build(info)
	if err != nil {
		t.Fatal(err)
	}
	images := show(s.Epoch(1, 0), info.Len)
	pairs := make([]float64, 16)
	for i := 1; i < len(images); i++ {
		pairs[4*info.Label(images[i-1])+info.Label(images[i])]++
	}
	want, x := float64(len(images)-1)/16, 0.0
	for _, n := range pairs {
		x += (n - want) * (n - want) / want
	}
	if x > 45 { // 15 degrees of freedom: beyond 1 in 10,000
		t.Errorf("chi-squared %.1f of neighbouring classes", x)
	}
	if slices.Equal(images, show(s.Epoch(1, 1), info.Len)) || slices.Equal(images, show(s.Epoch(2, 0), info.Len)) {
		t.Error("another epoch or seed has the same order")
	}
	if !slices.Equal(images, show(s.Epoch(1, 0), info.Len)) {
		t.Error("the same epoch differs")
	}
}

func TestByImage(t *testing.T) {
	weights := []float64{0, 1, 2, 0.25, 0, 4.75, 0, 0}
	s, err := NewByImage(weights)
	if err != nil {
		t.Fatal(err)
	}
	const epochs = 4000
	sum := make([]float64, len(weights))
	for epoch := range epochs {
		once := make([]int, len(weights))
		for _, i := range show(s.Epoch(3, epoch), len(weights)) {
			once[i]++
		}
		for i, w := range weights { // the weights sum to 8, so they are what is expected
			if float64(once[i]) < math.Floor(w) || float64(once[i]) > math.Ceil(w) {
				t.Fatalf("epoch %d: image %d of weight %v came up %d times", epoch, i, w, once[i])
			}
			sum[i] += float64(once[i])
		}
	}
	for i, w := range weights {
		if got := sum[i] / epochs; math.Abs(got-w) > 0.03 {
			t.Errorf("image %d of weight %v came up %.3f times an epoch", i, w, got)
		}
	}
	for _, bad := range [][]float64{{0, 0}, {-1, 2}, {math.NaN()}, {math.Inf(1)}, {}} {
		if _, err := NewByImage(bad); err == nil {
			t.Errorf("weights %v were accepted", bad)
		}
	}
}

func TestOptionsRefuse(t *testing.T) {
	for want, o := range map[string]Options{
		"power":                      &ClassBalancedOptions{Power: 1.5},
		"needs a list":               &WeightedOptions{},
		"-1 for class 1":             &WeightedOptions{Weights: []float64{1, -1}},
		"NaN":                        &WeightedOptions{Weights: []float64{math.NaN()}},
		"3 weights for the data's 2": &WeightedOptions{Weights: []float64{1, 1, 1}},
		"no training image":          &WeightedOptions{Weights: []float64{0, 1}},
	} {
		err := o.Validate()
		if err == nil {
			_, err = o.Build(set(3, 0))
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", o, err, want)
		}
	}
}

package distillation

import (
	"math"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestCourses gives both ends exactly, and the middle by hand.
func TestCourses(t *testing.T) {
	for _, c := range []struct {
		course           Course
		first, mid, last float64
	}{
		{Constant(3), 3, 3, 3},
		{Course{linear, 8, 2}, 8, 5, 2},
		{Course{cosine, 0, 1}, 0, 0.5, 1},
	} {
		for n, want := range map[int]float64{0: c.first, 50: c.mid, 100: c.last, 500: c.last} {
			if got := c.course.At(n, 101); math.Abs(got-want) > 1e-12 {
				t.Errorf("%+v at step %d: %v, want %v", c.course, n, got, want)
			}
		}
	}
	if got := (Course{cosine, 1, 5}).At(25, 101); math.Abs(got-(5-4*(1+math.Cos(math.Pi/4))/2)) > 1e-12 {
		t.Errorf("a quarter of the way: %v", got)
	}
	if got := (Course{linear, 2, 1}).At(0, 1); got != 1 {
		t.Errorf("a run of one step has %v, want the last value", got)
	}
}

// TestForms: the weights of each form.
func TestForms(t *testing.T) {
	alpha, quarter, hot := Course{linear, 0, 1}, Constant(0.25), Constant(2)
	for _, c := range []struct {
		options    Options
		want       Weights
		divergence bool
	}{
		{Options{}, Weights{4, 1, 1}, false},
		{Options{Alpha: &alpha, Temperature: &hot}, Weights{2, 0.75, 0.25}, true},
		{Options{Form: Weighted, Alpha: &quarter}, Weights{4, 0.75, 0.25}, true},
		{Options{Form: LabelFree, Temperature: &hot}, Weights{2, 0, 1}, true},
	} {
		l, err := c.options.Loss()
		if err != nil {
			t.Fatal(err)
		}
		if got := l.At(1, 5); got != c.want || l.Divergence() != c.divergence {
			t.Errorf("%+v: %+v, divergence %v", c.options, got, l.Divergence())
		}
	}
}

func TestRefusals(t *testing.T) {
	course := func(name string, from, to float64) *Course { return &Course{name, from, to} }
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{Temperature: course(constant, 0, 0)}, "temperature: must be above 0"},
		{Options{Temperature: course(constant, -1, -1)}, "temperature: must be above 0"},
		{Options{Temperature: course(linear, 4, 0)}, "temperature.to: must be above 0"},
		{Options{Temperature: course(linear, math.NaN(), math.NaN())}, "temperature.from: must be above 0"},
		{Options{Alpha: course(constant, 1.5, 1.5)}, "alpha: must be 0 to 1"},
		{Options{Alpha: course(cosine, -0.1, 1)}, "alpha.from: must be 0 to 1"},
		{Options{Alpha: course(constant, 0, 1)}, "alpha.course: a constant does not go"},
		{Options{Alpha: course("", 0, 1)}, "alpha.course: missing"},
		{Options{Alpha: course("cosin", 0, 1)}, `did you mean "cosine"`},
		{Options{Form: Survey, Alpha: course(constant, 1, 1)}, "alpha: belongs to form weighted, the form is survey"},
		{Options{Form: "wieghted"}, `did you mean "weighted"`},
	} {
		if _, err := c.options.Loss(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.options, err, c.want)
		}
	}
}

func TestMarshal(t *testing.T) {
	b, err := yaml.Marshal(map[string]any{"a": Constant(4), "b": &Course{cosine, 8, 1}})
	if err != nil || string(b) != "a: 4\nb:\n    course: cosine\n    from: 8\n    to: 1\n" {
		t.Errorf("%s, %v", b, err)
	}
}

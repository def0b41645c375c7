package search

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/ortrain/ortrain/tricks/pixel/policy"
	"github.com/ortrain/ortrain/tricks/rng"
)

// bowl has its lowest point, 0, at (0.3, −2, choice 4).
func bowl(x []float64) float64 {
	loss := 10*(x[0]-0.3)*(x[0]-0.3) + (x[1]+2)*(x[1]+2)/4
	if x[2] != 4 {
		loss += 0.5
	}
	return loss
}

var bowlSpace = []Dimension{{Low: 0, High: 1}, {Low: -5, High: 5}, {Choices: 8}}

func best(t TPE, n int) float64 {
	var trials []Trial
	lowest := math.Inf(1)
	for range n {
		x := t.Suggest(trials)
		trials = append(trials, Trial{x, bowl(x)})
		lowest = min(lowest, bowl(x))
	}
	return lowest
}

// TPE finds a far lower point than chance with the same number of trials.
func TestTPEBeatsChance(t *testing.T) {
	var guided, random []float64
	for seed := range uint64(15) {
		guided = append(guided, best(TPE{Dimensions: bowlSpace, Seed: seed}, 100))
		random = append(random, best(TPE{Dimensions: bowlSpace, Seed: seed, Startup: 1000}, 100))
	}
	slices.Sort(guided)
	slices.Sort(random)
	if guided[7] > random[7]/4 {
		t.Errorf("median of the lowest losses %.4f, by chance %.4f", guided[7], random[7])
	}
	t.Logf("median of the lowest losses %.4f, by chance %.4f", guided[7], random[7])
}

// A suggestion is a function of seed and trials, within the bounds.
func TestSuggest(t *testing.T) {
	var trials []Trial
	for i := range 60 {
		a, b := TPE{Dimensions: bowlSpace, Seed: 5}.Suggest(trials), TPE{Dimensions: bowlSpace, Seed: 5}.Suggest(slices.Clone(trials))
		if !slices.Equal(a, b) {
			t.Fatalf("trial %d: %v and %v", i, a, b)
		}
		if c := (TPE{Dimensions: bowlSpace, Seed: 6}).Suggest(trials); slices.Equal(a, c) {
			t.Errorf("trial %d does not depend on the seed", i)
		}
		for j, d := range bowlSpace {
			if d.Choices > 0 && (a[j] != math.Trunc(a[j]) || a[j] < 0 || a[j] >= float64(d.Choices)) || d.Choices == 0 && (a[j] < d.Low || a[j] > d.High) {
				t.Errorf("trial %d, dimension %d: %v", i, j, a[j])
			}
		}
		// Equal losses and repeated values are legal.
		trials = append(trials, Trial{a, 1}, Trial{a, math.Round(bowl(a))})
	}
}

// The densities have the integral one, and their draws follow them.
func TestDensities(t *testing.T) {
	s := rng.NewStream()
	d := Dimension{Low: -1, High: 3}
	for _, values := range [][]float64{nil, {0}, {3, 3, 3}, {-1, 3}, {0.1, 0.2, 0.25, 2, 2.5, 2.9}} {
		p := d.estimate(values)
		const n = 4000
		sum, mean := 0.0, 0.0
		for i := range n {
			x := -1 + 4*(float64(i)+0.5)/n
			sum += math.Exp(p.logDensity(x)) * 4 / n
			mean += x * math.Exp(p.logDensity(x)) * 4 / n
		}
		if math.Abs(sum-1) > 1e-4 {
			t.Errorf("%v: integral %v", values, sum)
		}
		drawn := 0.0
		for range n {
			drawn += p.draw(s) / n
		}
		if math.Abs(drawn-mean) > 0.08 {
			t.Errorf("%v: mean of draws %v, of the density %v", values, drawn, mean)
		}
	}
	c := Dimension{Choices: 3}.estimate([]float64{1, 1, 2})
	for i, want := range []float64{1.0 / 6, 3.0 / 6, 2.0 / 6} {
		if got := math.Exp(c.logDensity(float64(i))); math.Abs(got-want) > 1e-12 {
			t.Errorf("choice %d: %v, want %v", i, got, want)
		}
	}
	// Of 27 values the oldest count less: 1/27, 1, 1 …
	if w := forgetting(27); w[0] != 1.0/27 || w[1] != 1 || w[2] != 1 || w[26] != 1 {
		t.Errorf("weights %v", w)
	}
}

func TestPolicies(t *testing.T) {
	s := Policies{Ops: []policy.Op{policy.Rotate, policy.Invert}, SubPolicies: 2, Steps: 2}
	if n := len(s.Dimensions()); n != 12 {
		t.Fatalf("%d dimensions", n)
	}
	point := []float64{0, 0.704, 2.006, 1, 0.1, 5, 1, 0, 1, 0, 1, 9}
	s.Round(point)
	p := s.Policy(point)
	want := policy.Policy{{{Op: policy.Rotate, P: 0.7, Magnitude: 2.01}, {Op: policy.Invert, P: 0.1}}, {{Op: policy.Invert}, {Op: policy.Rotate, P: 1, Magnitude: 9}}}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("%v, want %v", p, want)
	}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	merged := Merge(p, p, policy.Policy{{{Op: policy.Rotate, P: 1, Magnitude: 9}}, {{Op: policy.Invert}}})
	if len(merged) != 2 || Spell(merged[0]) != "Rotate 0.7 2.01, Invert 0.1" || Spell(merged[1]) != "Rotate 1 9" {
		t.Errorf("merged %v", merged)
	}
	if n := len(Operations()); n != 16 {
		t.Errorf("%d operations", n)
	}
}

package calibrate

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ortrain/ortrain/tricks/nearest"
)

// Method chooses the range of a tensor from what was seen of its values. Get
// one from ParseMethod.
type Method struct {
	// Name is how the method is asked for, such as "percentile:99.99".
	Name   string
	counts bool // needs the histogram's bins
	choose func(*histogram) (low, high float64)
}

// Info describes a method for a list.
type Info struct{ Name, Description string }

// Methods lists the methods.
func Methods() []Info {
	return []Info{
		{"minmax", "from the smallest to the largest value seen"},
		{"percentile", "without the rarest values at both ends: percentile:99.99 keeps 99.99 % (the default is 99.99)"},
		{"entropy", "the clipping that keeps most information: least Kullback-Leibler divergence of the quantised values' histogram (Migacz 2017, TensorRT)"},
	}
}

// DefaultMethod is used where none is named.
const DefaultMethod = "percentile"

// ParseMethod reads a method's name: minmax, percentile, percentile:P with P in
// per cent above 50 and up to 100, or entropy.
func ParseMethod(s string) (Method, error) {
	name, argument, given := strings.Cut(s, ":")
	switch {
	case name == "minmax" && !given:
		return Method{Name: s, choose: func(h *histogram) (float64, float64) { return h.low, h.high }}, nil
	case name == "entropy" && !given:
		return Method{Name: s, counts: true, choose: entropy}, nil
	case name == "percentile":
		p := 99.99
		if given {
			v, err := strconv.ParseFloat(argument, 64)
			if err != nil || !(v > 50 && v <= 100) {
				return Method{}, fmt.Errorf("calibration method %q: give a percentile above 50 and up to 100, such as percentile:99.9", s)
			}
			p = v
		}
		return Method{Name: fmt.Sprintf("percentile:%v", p), counts: true, choose: percentile(p / 100)}, nil
	}
	var names []string
	for _, m := range Methods() {
		names = append(names, m.Name)
	}
	return Method{}, fmt.Errorf("unknown calibration method %q%s", s, nearest.Hint(name, names))
}

// percentile cuts off the share 1−p of the values, half of it at each end; of
// values that are never negative (or never positive) all at the one end.
func percentile(p float64) func(*histogram) (float64, float64) {
	return func(h *histogram) (low, high float64) {
		total := 0.0
		for _, n := range h.bins {
			total += n
		}
		cut := (1 - p) * total
		if h.low < 0 && h.high > 0 {
			cut /= 2
		}
		low, high = h.low, h.high
		if h.low < 0 {
			sum := 0.0
			for i := 0; i < bins; i++ {
				if sum += h.bins[i]; sum > cut {
					low = h.edge(i)
					break
				}
			}
		}
		if h.high > 0 {
			sum := 0.0
			for i := bins - 1; i >= 0; i-- {
				if sum += h.bins[i]; sum > cut {
					high = h.edge(i + 1)
					break
				}
			}
		}
		return math.Min(low, 0), math.Max(high, 0)
	}
}

// mostClipped is the share of the values that entropy may clip. Where most values
// are a few numbers, as behind an image's even background, the divergence hardly
// sees the others and would give them up.
const mostClipped = 0.01

// levels is the number of steps of the positive half of a signed tensor, and
// half of those of an unsigned one.
const levels = 128

// entropy tries clippings of the histogram and takes the one whose quantised
// distribution diverges least from the original (Migacz, "8-bit inference with
// TensorRT", 2017). Of values of both signs the sizes are looked at, and the
// range is cut at both ends alike.
func entropy(h *histogram) (low, high float64) {
	if h.high <= h.low {
		return h.low, h.high
	}
	p, steps, reach := h.bins, 2*levels, h.high
	switch {
	case h.high <= 0:
		p, reach = make([]float64, bins), -h.low
		for i, n := range h.bins {
			p[bins-1-i] = n
		}
	case h.low < 0:
		// Fold the negative half onto the positive one.
		reach, steps = math.Max(-h.low, h.high), levels
		p = make([]float64, bins)
		for i, n := range h.bins {
			middle := math.Abs(h.edge(i)+h.edge(i+1)) / 2
			p[min(int(middle/reach*bins), bins-1)] += n
		}
	}
	// A rectifier's zeros are many and come out exact, whatever the clipping:
	// they would only blur the steps beside them.
	p = slices.Clone(p)
	p[0] = p[1]
	beyond := 0.0
	for _, n := range p {
		beyond += n
	}
	allowed := mostClipped * beyond
	best, at := math.Inf(1), bins
	for i := 0; i <= bins; i++ {
		if i > 0 {
			beyond -= p[i-1]
		}
		if i < steps || (i-steps)%8 != 0 || beyond > allowed {
			continue
		}
		if d := divergence(p, i, steps); d < best {
			best, at = d, i
		}
	}
	clip := reach * float64(at) / bins
	return math.Max(h.low, -clip), math.Min(h.high, clip)
}

// divergence is that of the first n bins, into the last of which all beyond is
// clipped, from themselves in the given number of steps.
func divergence(p []float64, n, steps int) float64 {
	reference := append([]float64(nil), p[:n]...)
	total := 0.0
	for _, v := range p[n:] {
		reference[n-1] += v
	}
	for _, v := range reference {
		total += v
	}
	// The quantised distribution spreads what falls into a step evenly over
	// its bins that are not empty. It does not know what was clipped.
	quantised := make([]float64, n)
	sum := 0.0
	for s := range steps {
		from, to := s*n/steps, (s+1)*n/steps
		mass, filled := 0.0, 0
		for i := from; i < to; i++ {
			mass += p[i]
			if reference[i] > 0 {
				filled++
			}
		}
		for i := from; i < to; i++ {
			if reference[i] > 0 {
				quantised[i] = mass / float64(filled)
				sum += quantised[i]
			}
		}
	}
	if total == 0 || sum == 0 {
		return math.Inf(1)
	}
	d := 0.0
	for i, r := range reference {
		if r == 0 {
			continue
		}
		q := quantised[i] / sum
		if q == 0 {
			q = 1e-4 / float64(bins) // a bin that only clipped values fill
		}
		d += r / total * math.Log(r/total/q)
	}
	return d
}

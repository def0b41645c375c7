package calibrate

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// seen is the histogram of values, as two runs over them leave it.
func seen(t *testing.T, values []float32) *histogram {
	t.Helper()
	h := newHistogram()
	if err := h.bound(values); err != nil {
		t.Fatal(err)
	}
	h.open()
	h.count(values)
	return h
}

func method(t *testing.T, name string) Method {
	t.Helper()
	m, err := ParseMethod(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMethods: ranges of values whose distribution is known.
func TestMethods(t *testing.T) {
	// 0, 1, …, 9999: a percentile cuts at the top only, since none is negative.
	ramp := make([]float32, 10000)
	for i := range ramp {
		ramp[i] = float32(i)
	}
	near := func(name string, h *histogram, low, high, within float64) {
		t.Helper()
		l, u := method(t, name).choose(h)
		if math.Abs(l-low) > within || math.Abs(u-high) > within {
			t.Errorf("%s: %.4g to %.4g, want %.4g to %.4g", name, l, u, low, high)
		}
	}
	h := seen(t, ramp)
	near("minmax", h, 0, 9999, 0)
	near("percentile:100", h, 0, 9999, 0)
	near("percentile:99", h, 0, 9900, 5)
	near("percentile:90", h, 0, 9000, 5)
	for i := range ramp {
		ramp[i] -= 5000
	}
	near("percentile:99", seen(t, ramp), -4950, 4950, 5)
	for i := range ramp {
		ramp[i] = -ramp[i] - 5000
	}
	near("percentile:99", seen(t, ramp), -9900, 0, 5)

	// A bell with one far outlier: entropy clips it, min-max does not.
	r := rand.New(rand.NewPCG(1, 2))
	bell := make([]float32, 100000)
	for i := range bell {
		bell[i] = float32(r.NormFloat64())
	}
	bell[7] = 40
	for _, sign := range []float32{1, -1} {
		for i := range bell {
			bell[i] *= sign
		}
		l, u := method(t, "entropy").choose(seen(t, bell))
		if reach := math.Max(-l, u); reach < 2.5 || reach > 8 {
			t.Errorf("entropy: a bell of width 1 with a value of 40 is clipped to %g…%g", l, u)
		}
	}
	for i := range bell {
		bell[i] = max(0, bell[i])
	}
	bell[7] = 40
	if l, u := method(t, "entropy").choose(seen(t, bell)); l != 0 || u < 2.5 || u > 10 {
		t.Errorf("entropy: half a bell is clipped to %g…%g", l, u)
	}
	near("percentile:99.9", seen(t, bell), 0, 3.1, 0.2)

	// A tensor that is always 0.
	zero := seen(t, make([]float32, 100))
	for _, name := range []string{"minmax", "percentile", "entropy"} {
		near(name, zero, 0, 0, 0)
	}
}

// TestBadMethods: what is not a method, and values that cannot be measured.
func TestBadMethods(t *testing.T) {
	for name, want := range map[string]string{
		"minmaxx": `did you mean "minmax"?`, "percentile:40": "above 50", "percentile:101": "up to 100", "percentile:x": "percentile:99.9",
		"entropy:3": "unknown", "": "unknown",
	} {
		if _, err := ParseMethod(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v does not say %q", name, err, want)
		}
	}
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		if newHistogram().bound([]float32{1, v}) == nil {
			t.Errorf("a tensor with %g is accepted", v)
		}
	}
}

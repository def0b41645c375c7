package pil

import "math"

// halfPi is π/2 in two parts.
const (
	halfPi1 = 0x1.921fb54442d18p+0
	halfPi2 = 0x1.1a62633145c07p-54
)

// sincos returns sine and cosine of an angle of a few turns with an error
// below 0.6 units in the last place, as C libraries do and package math does
// not quite. Rounded to 15 decimals the last place shows: for a turn of 45°
// it decides between …547 and …548.
func sincos(a float64) (sin, cos float64) {
	k := math.RoundToEven(a / halfPi1)
	// hi + lo = a − k·π/2, exact to about 1e-32.
	p := k * halfPi1
	pe := math.FMA(k, halfPi1, -p)
	hi := a - p // exact: the two are close, or k is 0
	lo := -(pe + k*halfPi2)
	x := hi + lo
	e := lo - (x - hi)
	s, c := kernel(x, e)
	switch int(k) & 3 {
	case 0:
		return s, c
	case 1:
		return c, -s
	case 2:
		return -s, -c
	}
	return -c, s
}

// kernel sums the Taylor series about 0 for |x + e| ≤ π/4, e tiny: the first
// terms exactly, the small rest in ordinary arithmetic.
func kernel(x, e float64) (sin, cos float64) {
	z := x * x
	ze := math.FMA(x, x, -z)
	rest := 0.0
	for n := 17.0; n >= 5; n -= 2 { // 1/3! − z/5! + …, as a nest
		rest = (1 - rest) * z / (n * (n - 1))
	}
	sin = x + (e - x*z*(1-rest)/6 + e*(-z/2))
	rest = 0
	for n := 18.0; n >= 4; n -= 2 {
		rest = (1 - rest) * z / (n * (n - 1))
	}
	// 1 − z/2 + z²/24 …: the difference of the first two, and its error.
	w := 1 - z/2
	we := (1 - w) - z/2
	cos = w + (we - ze/2 - x*e + z/2*rest)
	return sin, cos
}

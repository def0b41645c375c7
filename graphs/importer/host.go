package importer

import (
	"math"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// host is a value that is known when the model is read: a shape, or something
// computed from shapes and constants. Numbers of all types are held as
// float64, which is exact for what shapes are made of.
type host struct {
	shape ir.Shape
	data  []float64
	float bool
}

// maxHost bounds the elements of such a value, and maxDim a dimension.
const (
	maxHost = 1 << 20
	maxDim  = 1 << 24
)

func scalar(x float64) *host { return &host{data: []float64{x}} }

func vector(x ...int) *host {
	h := &host{shape: ir.Shape{len(x)}, data: make([]float64, len(x))}
	for i, v := range x {
		h.data[i] = float64(v)
	}
	return h
}

// decode reads a constant of the file.
func (t *tensor) decode() (*host, error) {
	h := &host{shape: t.shape(), float: t.float()}
	if h.float {
		values, err := onnx.FloatData(t.proto, t.dir)
		if err != nil {
			return nil, err
		}
		h.data = make([]float64, len(values))
		for i, v := range values {
			h.data[i] = float64(v)
		}
		return h, nil
	}
	values, err := onnx.IntData(t.proto, t.dir)
	if err != nil {
		return nil, err
	}
	h.data = make([]float64, len(values))
	for i, v := range values {
		h.data[i] = float64(v)
	}
	return h, nil
}

// whole rounds to an int within ±2⁶²: slices end at the largest number there
// is.
func whole(x float64) int {
	const most = 1 << 62
	if !(x > -most) {
		return -most
	}
	if x > most {
		return most
	}
	return int(x)
}

func (h *host) ints() []int {
	out := make([]int, len(h.data))
	for i, x := range h.data {
		out[i] = whole(x)
	}
	return out
}

// floats returns the elements as a constant of the graph holds them.
func (h *host) floats() []float32 {
	out := make([]float32, len(h.data))
	for i, x := range h.data {
		out[i] = float32(x)
	}
	return out
}

// count returns the elements of a shape, or false if they are too many.
func count(s []int) (int, bool) {
	n := 1
	for _, d := range s {
		if d < 0 || d > maxHost || n > maxHost/max(d, 1) {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// pick maps element i of shape to its place in one of another shape that
// broadcasts to it.
func pick(i int, shape, from ir.Shape) int {
	place, step := 0, 1
	for axis, j := len(shape)-1, len(from)-1; axis >= 0; axis, j = axis-1, j-1 {
		at := i % shape[axis]
		i /= shape[axis]
		if j >= 0 {
			if from[j] > 1 {
				place += at * step
			}
			step *= from[j]
		}
	}
	return place
}

// gathered takes elements of h along an axis: the result has h's shape with
// the axis replaced by that of index.
func (h *host) gathered(axis int, index *host) (*host, bool) {
	before, after := 1, 1
	for i, d := range h.shape {
		if i < axis {
			before *= d
		} else if i > axis {
			after *= d
		}
	}
	out := &host{float: h.float}
	out.shape = append(append(append(out.shape, h.shape[:axis]...), index.shape...), h.shape[axis+1:]...)
	for b := range before {
		for _, x := range index.data {
			k := whole(x)
			if k < 0 {
				k += h.shape[axis]
			}
			if k < 0 || k >= h.shape[axis] {
				return nil, false
			}
			at := (b*h.shape[axis] + k) * after
			out.data = append(out.data, h.data[at:at+after]...)
		}
	}
	return out, len(out.data) <= maxHost
}

// arithmetic are the functions of two numbers that shapes are computed by.
var arithmetic = map[string]func(a, b float64) float64{
	"Add": func(a, b float64) float64 { return a + b },
	"Sub": func(a, b float64) float64 { return a - b },
	"Mul": func(a, b float64) float64 { return a * b },
	"Pow": math.Pow,
	"Min": math.Min, "Max": math.Max,
	"Equal":          func(a, b float64) float64 { return truth(a == b) },
	"Greater":        func(a, b float64) float64 { return truth(a > b) },
	"Less":           func(a, b float64) float64 { return truth(a < b) },
	"GreaterOrEqual": func(a, b float64) float64 { return truth(a >= b) },
	"LessOrEqual":    func(a, b float64) float64 { return truth(a <= b) },
	"And":            func(a, b float64) float64 { return truth(a != 0 && b != 0) },
	"Or":             func(a, b float64) float64 { return truth(a != 0 || b != 0) },
	"Mod": func(a, b float64) float64 {
		if b == 0 {
			return 0
		}
		return a - b*math.Floor(a/b)
	},
}

// functions are those of one number.
var functions = map[string]func(x float64) float64{
	"Neg": func(x float64) float64 { return -x }, "Abs": math.Abs, "Sqrt": math.Sqrt, "Floor": math.Floor, "Ceil": math.Ceil,
	"Round": math.RoundToEven, "Exp": math.Exp, "Log": math.Log, "Not": func(x float64) float64 { return truth(x == 0) },
	"Reciprocal": func(x float64) float64 { return 1 / x },
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

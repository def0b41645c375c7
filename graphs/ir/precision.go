package ir

import "fmt"

// Operators take and return float32 unless they say that they run in half
// precision: then all their float inputs are of one type, which is the
// output's. Sums over many elements come out in float32 whatever goes in: Sum,
// ConvGradWeight and the statistics of norms, whose scale and shift stay
// float32 too.

// Cast converts x, also 8-bit pixels, to a float type: to float16 rounding to the nearest, ties to
// even, and to an infinity beyond 65504.
type Cast struct{ To DType }

func (Cast) Kind() string { return "Cast" }

func (o Cast) Infer(in []Type) ([]Type, error) {
	if len(in) != 1 {
		return nil, fmt.Errorf("takes 1 input, have %d", len(in))
	}
	if !float(in[0].DType) && in[0].DType != Uint8 || !float(o.To) {
		return nil, fmt.Errorf("casts between float types, or from uint8, not %v to %v", in[0].DType, o.To)
	}
	return []Type{{o.To, in[0].Shape}}, nil
}

func float(d DType) bool { return d == Float32 || d == Float16 }

// arity reports a wrong number of inputs, or one that is not float32.
func arity(in []Type, want int) error {
	if len(in) != want {
		return fmt.Errorf("takes %d inputs, have %d", want, len(in))
	}
	for i, t := range in {
		if t.DType != Float32 {
			return fmt.Errorf("input %d is %v, want float32", i, t.DType)
		}
	}
	return nil
}

// uniform checks the number of inputs and returns their common float type.
func uniform(in []Type, want int) (DType, error) {
	if len(in) != want {
		return 0, fmt.Errorf("takes %d inputs, have %d", want, len(in))
	}
	for i, t := range in {
		if !float(t.DType) {
			return 0, fmt.Errorf("input %d is %v, want float32 or float16", i, t.DType)
		}
		if t.DType != in[0].DType {
			return 0, fmt.Errorf("input %d is %v, input 0 %v", i, t.DType, in[0].DType)
		}
	}
	if want == 0 {
		return Float32, nil
	}
	return in[0].DType, nil
}

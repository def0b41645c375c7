package ir

import "fmt"

// BinaryKind is a two-argument element-wise function.
type BinaryKind string

const (
	Add BinaryKind = "Add"
	Sub BinaryKind = "Sub"
	Mul BinaryKind = "Mul"
	Div BinaryKind = "Div"
	Max BinaryKind = "Max"
	Min BinaryKind = "Min"
)

// Binary applies a function element by element with NumPy broadcasting.
type Binary struct{ F BinaryKind }

func (o Binary) Kind() string { return string(o.F) }

func (o Binary) Infer(in []Type) ([]Type, error) {
	dtype, err := uniform(in, 2)
	if err != nil {
		return nil, err
	}
	s, err := Broadcasted(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	return []Type{{dtype, s}}, nil
}

// Broadcasted returns the common shape of a and b under NumPy's rules.
func Broadcasted(a, b Shape) (Shape, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := append(Shape(nil), a...)
	shift := len(a) - len(b)
	for i, d := range b {
		switch e := a[shift+i]; {
		case e == d || d == 1:
		case e == 1:
			out[shift+i] = d
		default:
			return nil, fmt.Errorf("shapes %v and %v do not broadcast", a, b)
		}
	}
	return out, nil
}

// UnaryKind is a one-argument element-wise function.
type UnaryKind string

const (
	Relu UnaryKind = "Relu"
	Neg  UnaryKind = "Neg"
	Sqrt UnaryKind = "Sqrt"
	Exp  UnaryKind = "Exp"
	Log  UnaryKind = "Log"
	Abs  UnaryKind = "Abs"
	Sign UnaryKind = "Sign"
	Tanh UnaryKind = "Tanh"
)

// Unary applies a function element by element.
type Unary struct{ F UnaryKind }

func (o Unary) Kind() string { return string(o.F) }

func (o Unary) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	return in[:1:1], nil
}

// ReluGrad passes dy where y, the output of Relu, is positive, and 0 elsewhere:
// inputs dy and y of one shape.
type ReluGrad struct{}

func (ReluGrad) Kind() string { return "ReluGrad" }

func (ReluGrad) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 2); err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(in[1].Shape) {
		return nil, fmt.Errorf("gradient is %v, output %v", in[0].Shape, in[1].Shape)
	}
	return in[:1:1], nil
}

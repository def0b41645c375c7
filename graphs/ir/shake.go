package ir

import "fmt"

// Shake multiplies x by a factor and, on the way back, the gradient by another:
// y = forward·x, dx = backward·dy (Gastaldi 2017, "Shake-Shake regularization",
// §2.1). Both factors have one shape, which broadcasts to that of x, and get no
// gradient: they are draws.
type Shake struct{}

func (Shake) Kind() string { return "Shake" }

func (Shake) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 3); err != nil {
		return nil, err
	}
	x, f := in[0].Shape, in[1].Shape
	if !f.Equal(in[2].Shape) {
		return nil, fmt.Errorf("factors %v and %v differ in shape", f, in[2].Shape)
	}
	if s, err := Broadcasted(x, f); err != nil || !s.Equal(x) {
		return nil, fmt.Errorf("factor %v does not broadcast to %v", f, x)
	}
	return in[:1:1], nil
}

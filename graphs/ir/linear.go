package ir

import "fmt"

// MatMul multiplies two matrices, each transposed first where its flag says so.
type MatMul struct{ TransA, TransB bool }

func (MatMul) Kind() string { return "MatMul" }

func (o MatMul) Infer(in []Type) ([]Type, error) {
	dtype, err := uniform(in, 2)
	if err != nil {
		return nil, err
	}
	a, b := in[0].Shape, in[1].Shape
	if len(a) != 2 || len(b) != 2 {
		return nil, fmt.Errorf("inputs %v and %v must be matrices", a, b)
	}
	m, k := a[0], a[1]
	if o.TransA {
		m, k = k, m
	}
	k2, n := b[0], b[1]
	if o.TransB {
		k2, n = n, k2
	}
	if k != k2 {
		return nil, fmt.Errorf("inner dimensions of %v and %v differ", a, b)
	}
	return []Type{{dtype, Shape{m, n}}}, nil
}

// Gemm is Alpha·a·b + Beta·c for three matrices, a and b transposed first where
// their flags say so; c has the shape of the product.
type Gemm struct {
	TransA, TransB bool
	Alpha, Beta    float32
}

func (Gemm) Kind() string { return "Gemm" }

func (o Gemm) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 3); err != nil {
		return nil, err
	}
	out, err := MatMul{o.TransA, o.TransB}.Infer(in[:2])
	if err != nil {
		return nil, err
	}
	if !in[2].Shape.Equal(out[0].Shape) {
		return nil, fmt.Errorf("the product is %v, the summand %v", out[0].Shape, in[2].Shape)
	}
	return out, nil
}

// BatchMatMul multiplies the matrices that the last two axes of a and b hold,
// each transposed first where its flag says so; the axes before them broadcast
// by NumPy's rules.
type BatchMatMul struct{ TransA, TransB bool }

func (BatchMatMul) Kind() string { return "BatchMatMul" }

func (o BatchMatMul) Infer(in []Type) ([]Type, error) {
	dtype, err := uniform(in, 2)
	if err != nil {
		return nil, err
	}
	a, b := in[0].Shape, in[1].Shape
	if len(a) < 2 || len(b) < 2 || len(a) > ReshapeRank || len(b) > ReshapeRank {
		return nil, fmt.Errorf("inputs %v and %v must have rank 2 to %d", a, b, ReshapeRank)
	}
	leadA, leadB := a[:len(a)-2], b[:len(b)-2]
	matrix, err := MatMul(o).Infer([]Type{{Float32, a[len(a)-2:]}, {Float32, b[len(b)-2:]}})
	if err != nil {
		return nil, err
	}
	lead, err := Broadcasted(leadA, leadB)
	if err != nil {
		return nil, err
	}
	return []Type{{dtype, append(lead, matrix[0].Shape...)}}, nil
}

// Sum adds up over the given axes (a bit set: bit i is
// axis i), in float32. Kept axes have size 1 when Keep is set.
type Sum struct {
	Axes uint
	Keep bool
}

// Axes makes the bit set of Sum.
func Axes(axes ...int) uint {
	var m uint
	for _, a := range axes {
		m |= 1 << a
	}
	return m
}

func (Sum) Kind() string { return "Sum" }

func (o Sum) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if o.Axes == 0 || o.Axes>>len(s) != 0 {
		return nil, fmt.Errorf("axes %b do not fit shape %v", o.Axes, s)
	}
	var out Shape
	for i, d := range s {
		switch {
		case o.Axes>>i&1 == 0:
			out = append(out, d)
		case o.Keep:
			out = append(out, 1)
		}
	}
	return []Type{{Float32, out}}, nil
}

// SoftmaxCrossEntropy is the mean over the batch of −Σ_k t_k·log softmax(z)_k:
// inputs logits z N×K and soft targets t N×K; outputs the loss, a scalar, and
// log softmax(z) N×K, which the gradient reads again.
type SoftmaxCrossEntropy struct{}

func (SoftmaxCrossEntropy) Kind() string { return "SoftmaxCrossEntropy" }

func (SoftmaxCrossEntropy) Infer(in []Type) ([]Type, error) {
	if err := arity(in, 2); err != nil {
		return nil, err
	}
	if len(in[0].Shape) != 2 || !in[0].Shape.Equal(in[1].Shape) {
		return nil, fmt.Errorf("logits %v and targets %v must be equal matrices", in[0].Shape, in[1].Shape)
	}
	return []Type{F32(), in[0]}, nil
}

// SoftmaxCrossEntropyGrad is the gradient with respect to the logits: inputs
// the gradient of the loss (scalar), log softmax(z) and the targets. Rows of
// the targets need not sum to one: dz = g/N·(softmax(z)·Σt − t).
type SoftmaxCrossEntropyGrad struct{}

func (SoftmaxCrossEntropyGrad) Kind() string { return "SoftmaxCrossEntropyGrad" }

func (SoftmaxCrossEntropyGrad) Infer(in []Type) ([]Type, error) {
	if err := arity(in, 3); err != nil {
		return nil, err
	}
	if len(in[0].Shape) != 0 || len(in[1].Shape) != 2 || !in[1].Shape.Equal(in[2].Shape) {
		return nil, fmt.Errorf("have gradient %v, log-probabilities %v, targets %v", in[0].Shape, in[1].Shape, in[2].Shape)
	}
	return in[1:2:2], nil
}

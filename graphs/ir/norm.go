package ir

import "fmt"

// BatchNormTrain normalises x N×C×H×W by the statistics of the batch (Ioffe &
// Szegedy 2015): inputs x, scale γ [C], shift β [C]; outputs y, the batch mean
// [C] and the biased batch variance [C].
type BatchNormTrain struct{ Eps float32 }

func (BatchNormTrain) Kind() string { return "BatchNormTrain" }

func (o BatchNormTrain) Infer(in []Type) ([]Type, error) {
	if err := channelled(in, 3, 1); err != nil {
		return nil, err
	}
	c := F32(in[0].Shape[1])
	return []Type{in[0], c, c}, nil
}

// BatchNormInfer normalises by given statistics: inputs x, γ, β, mean and
// variance, each [C]; output y.
type BatchNormInfer struct{ Eps float32 }

func (BatchNormInfer) Kind() string { return "BatchNormInfer" }

func (o BatchNormInfer) Infer(in []Type) ([]Type, error) {
	if err := channelled(in, 5, 1); err != nil {
		return nil, err
	}
	return []Type{in[0]}, nil
}

// BatchNormGrad is the gradient of BatchNormTrain's y: inputs dy, x, γ, the
// batch mean and the biased batch variance; outputs dx, dγ [C], dβ [C].
// The gradient flows through the batch statistics; none is taken with respect
// to the mean and variance outputs, which only feed running averages.
type BatchNormGrad struct{ Eps float32 }

func (BatchNormGrad) Kind() string { return "BatchNormGrad" }

func (o BatchNormGrad) Infer(in []Type) ([]Type, error) {
	if err := channelled(in, 5, 2); err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(in[1].Shape) {
		return nil, fmt.Errorf("gradient is %v, input %v", in[0].Shape, in[1].Shape)
	}
	c := F32(in[1].Shape[1])
	return []Type{in[1], c, c}, nil
}

// LayerNorm normalises x over its last axis (Ba et al. 2016): inputs x of rank 2
// or more, scale γ [D] and shift β [D]; outputs y, and the mean and 1/√(variance+ε)
// with a last axis of 1, which the gradient reads again.
type LayerNorm struct{ Eps float32 }

func (LayerNorm) Kind() string { return "LayerNorm" }

func (o LayerNorm) Infer(in []Type) ([]Type, error) {
	if err := arity(in, 3); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if len(x) < 2 {
		return nil, fmt.Errorf("input %v must have rank 2 or more", x)
	}
	last := Shape{x[len(x)-1]}
	if !in[1].Shape.Equal(last) || !in[2].Shape.Equal(last) {
		return nil, fmt.Errorf("scale %v and shift %v must be %v", in[1].Shape, in[2].Shape, last)
	}
	s := append(Shape(nil), x...)
	s[len(s)-1] = 1
	return []Type{in[0], {Float32, s}, {Float32, s}}, nil
}

// channelled checks n inputs: the first maps of one float type and rank 4, the
// rest float32 [C].
func channelled(in []Type, n, maps int) error {
	if len(in) != n {
		return fmt.Errorf("takes %d inputs, have %d", n, len(in))
	}
	if _, err := uniform(in[:maps], maps); err != nil {
		return err
	}
	if err := arity(in[maps:], n-maps); err != nil {
		return err
	}
	for _, t := range in[:maps] {
		if len(t.Shape) != 4 {
			return fmt.Errorf("input %v must have rank 4", t.Shape)
		}
	}
	c := Shape{in[0].Shape[1]}
	for _, t := range in[maps:] {
		if !t.Shape.Equal(c) {
			return fmt.Errorf("per-channel input is %v, want %v", t.Shape, c)
		}
	}
	return nil
}

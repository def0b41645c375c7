package ir

import "fmt"

// SigmoidCrossEntropy treats every class as a question of its own: the mean
// over all N×K elements of −t·log σ(z) − (1−t)·log(1−σ(z)), from logits z N×K
// and targets t N×K in [0,1]; the output is a scalar. It is PyTorch's
// BCEWithLogitsLoss.
type SigmoidCrossEntropy struct{}

func (SigmoidCrossEntropy) Kind() string { return "SigmoidCrossEntropy" }

func (SigmoidCrossEntropy) Infer(in []Type) ([]Type, error) {
	if err := arity(in, 2); err != nil {
		return nil, err
	}
	if len(in[0].Shape) != 2 || !in[0].Shape.Equal(in[1].Shape) {
		return nil, fmt.Errorf("logits %v and targets %v must be equal matrices", in[0].Shape, in[1].Shape)
	}
	return []Type{F32()}, nil
}

// SigmoidCrossEntropyGrad is the gradient with respect to the logits: inputs
// the gradient g of the loss (scalar), z and t; dz = g/(N·K)·(σ(z) − t).
type SigmoidCrossEntropyGrad struct{}

func (SigmoidCrossEntropyGrad) Kind() string { return "SigmoidCrossEntropyGrad" }

func (SigmoidCrossEntropyGrad) Infer(in []Type) ([]Type, error) {
	if err := arity(in, 3); err != nil {
		return nil, err
	}
	if len(in[0].Shape) != 0 || len(in[1].Shape) != 2 || !in[1].Shape.Equal(in[2].Shape) {
		return nil, fmt.Errorf("have gradient %v, logits %v, targets %v", in[0].Shape, in[1].Shape, in[2].Shape)
	}
	return in[1:2:2], nil
}

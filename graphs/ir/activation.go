package ir

import "fmt"

// Smooth and piecewise activations beside Relu and Tanh.
const (
	// Erf is the error function.
	Erf UnaryKind = "Erf"
	// Sigmoid is σ(x) = 1/(1+e^−x).
	Sigmoid UnaryKind = "Sigmoid"
	// Silu, also called swish, is x·σ(x) (Elfwing et al. 2017; Ramachandran et
	// al. 2017).
	Silu UnaryKind = "Silu"
	// HardSwish is x·min(max(x+3, 0), 6)/6 (Howard et al. 2019).
	HardSwish UnaryKind = "HardSwish"
	// Gelu is x·Φ(x), Φ the normal distribution's (Hendrycks and Gimpel 2016);
	// GeluTanh is its approximation by a hyperbolic tangent.
	Gelu     UnaryKind = "Gelu"
	GeluTanh UnaryKind = "GeluTanh"
)

// UnaryGradKind names the gradient of a one-argument function.
type UnaryGradKind string

// The gradients of Sigmoid and Tanh read dy and the function's output y; SiluGrad
// reads dy, the input x and y; the others dy and x.
const (
	ErfGrad       UnaryGradKind = "ErfGrad"
	SigmoidGrad   UnaryGradKind = "SigmoidGrad"
	TanhGrad      UnaryGradKind = "TanhGrad"
	SiluGrad      UnaryGradKind = "SiluGrad"
	HardSwishGrad UnaryGradKind = "HardSwishGrad"
	GeluGrad      UnaryGradKind = "GeluGrad"
	GeluTanhGrad  UnaryGradKind = "GeluTanhGrad"
)

// UnaryGrad is the gradient of a one-argument function: dy times the slope.
type UnaryGrad struct{ F UnaryGradKind }

func (o UnaryGrad) Kind() string { return string(o.F) }

func (o UnaryGrad) Infer(in []Type) ([]Type, error) {
	n := 2
	if o.F == SiluGrad {
		n = 3
	}
	return alike(in, n)
}

// HardSigmoid is min(max(Alpha·x+Beta, 0), 1). PyTorch's has Alpha 1/6 and Beta
// 1/2.
type HardSigmoid struct{ Alpha, Beta float32 }

func (HardSigmoid) Kind() string { return "HardSigmoid" }

func (HardSigmoid) Infer(in []Type) ([]Type, error) { return alike(in, 1) }

// HardSigmoidGrad is the gradient of HardSigmoid, from dy and the output y:
// Alpha·dy where 0 < y < 1, else 0.
type HardSigmoidGrad struct{ Alpha float32 }

func (HardSigmoidGrad) Kind() string { return "HardSigmoidGrad" }

func (HardSigmoidGrad) Infer(in []Type) ([]Type, error) { return alike(in, 2) }

// Clip is min(max(x, Low), High); either bound may be infinite. Low 0 and High 6
// make ReLU6.
type Clip struct{ Low, High float32 }

func (Clip) Kind() string { return "Clip" }

func (o Clip) Infer(in []Type) ([]Type, error) {
	if !(o.Low < o.High) {
		return nil, fmt.Errorf("lower bound %g is not below %g", o.Low, o.High)
	}
	return alike(in, 1)
}

// ClipGrad is the gradient of Clip, from dy and the output y: dy where y lies
// between the bounds and on neither, as PyTorch's ReLU6 has it.
type ClipGrad struct{ Low, High float32 }

func (ClipGrad) Kind() string { return "ClipGrad" }

func (ClipGrad) Infer(in []Type) ([]Type, error) { return alike(in, 2) }

// alike checks n inputs of one float type and shape, which are the output's.
func alike(in []Type, n int) ([]Type, error) {
	if _, err := uniform(in, n); err != nil {
		return nil, err
	}
	for _, t := range in[1:] {
		if !t.Shape.Equal(in[0].Shape) {
			return nil, fmt.Errorf("inputs %v and %v differ in shape", in[0].Shape, t.Shape)
		}
	}
	return in[:1:1], nil
}

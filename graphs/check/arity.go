package check

import "fmt"

// arity is the legal number of inputs and outputs of an operator.
type arity struct{ minIn, maxIn, minOut, maxOut int }

const many = 1 << 30

// arities lists the operators this project writes, with the arities of the
// ONNX operator specification (opset 21) and, for FusedMatMul, FusedConv and
// the operators on blocks, of ONNX Runtime's own; ConvForward to AvgPoolGrad are
// the kernel libraries'. Domains are not told apart by
// the reader, so Conv allows what the blocked one takes.
var arities = map[string]arity{
	"Add": {2, 2, 1, 1}, "Sub": {2, 2, 1, 1}, "Mul": {2, 2, 1, 1}, "Div": {2, 2, 1, 1},
	"Max": {1, many, 1, 1}, "Min": {1, many, 1, 1}, "Sum": {1, many, 1, 1},
	"Relu": {1, 1, 1, 1}, "Neg": {1, 1, 1, 1}, "Sqrt": {1, 1, 1, 1}, "Exp": {1, 1, 1, 1},
	"Log": {1, 1, 1, 1}, "Abs": {1, 1, 1, 1}, "Sign": {1, 1, 1, 1}, "Tanh": {1, 1, 1, 1}, "Identity": {1, 1, 1, 1},
	"Erf": {1, 1, 1, 1}, "Gelu": {1, 1, 1, 1}, "QuickGelu": {1, 1, 1, 1},
	"Reciprocal": {1, 1, 1, 1}, "HardSigmoid": {1, 1, 1, 1},
	"Greater": {2, 2, 1, 1}, "Less": {2, 2, 1, 1}, "LessOrEqual": {2, 2, 1, 1}, "IsNaN": {1, 1, 1, 1}, "Squeeze": {1, 2, 1, 1}, "Cast": {1, 1, 1, 1}, "Where": {3, 3, 1, 1},
	"Gemm": {2, 3, 1, 1}, "MatMul": {2, 2, 1, 1}, "FusedMatMul": {2, 2, 1, 1},
	"ReduceSum": {1, 2, 1, 1}, "ReduceMean": {1, 2, 1, 1}, "ReduceSumSquare": {1, 2, 1, 1},
	"Reshape": {2, 2, 1, 1}, "Flatten": {1, 1, 1, 1}, "Transpose": {1, 1, 1, 1},
	"Slice": {3, 5, 1, 1}, "Pad": {2, 4, 1, 1}, "Concat": {1, many, 1, 1}, "Split": {1, 2, 1, many},
	"Gather": {2, 2, 1, 1}, "Range": {3, 3, 1, 1}, "ReorderInput": {1, 1, 1, 1}, "ReorderOutput": {1, 1, 1, 1},
	"Expand": {2, 2, 1, 1}, "ConstantOfShape": {1, 1, 1, 1}, "SpaceToDepth": {1, 1, 1, 1}, "DepthToSpace": {1, 1, 1, 1},
	"Conv": {2, 4, 1, 1}, "FusedConv": {2, 4, 1, 1}, "ConvTranspose": {2, 3, 1, 1}, "GlobalAveragePool": {1, 1, 1, 1},
	"MaxPool": {1, 1, 1, 2}, "AveragePool": {1, 1, 1, 1}, "ScatterElements": {3, 3, 1, 1},
	"LayerNormalization": {2, 3, 1, 3}, "Clip": {1, 3, 1, 1},
	"BatchNormalization": {5, 5, 1, 3}, "LogSoftmax": {1, 1, 1, 1}, "Softplus": {1, 1, 1, 1}, "Sigmoid": {1, 1, 1, 1}, "Softmax": {1, 1, 1, 1},
	"QuantizeLinear": {2, 3, 1, 1}, "DequantizeLinear": {2, 3, 1, 1}, "TopK": {2, 2, 2, 2},
	"ConvForward": {2, 3, 1, 3}, "ConvGradInput": {2, 6, 1, 3}, "ConvGradWeight": {2, 2, 1, 1}, "MaxPoolGrad": {2, 3, 1, 1},
	"Statistics": {1, 1, 2, 2}, "Norm": {5, 6, 1, 1}, "NormGrad": {5, 9, 3, 4}, "Elementwise": {1, 16, 1, 8},
	"ToChannelsLast": {1, 1, 1, 1}, "FromChannelsLast": {1, 1, 1, 1}, "AvgPool": {1, 1, 1, 1}, "AvgPoolGrad": {1, 1, 1, 1},
	"Resize": {1, 4, 1, 1}, "Shape": {1, 1, 1, 1}, "Mod": {2, 2, 1, 1}, "Equal": {2, 2, 1, 1},
	"Loop": {2, many, 1, many}, "Pow": {2, 2, 1, 1}, "Dropout": {1, 3, 1, 2},
}

func legal(kind string, in, out int) error {
	a, ok := arities[kind]
	if !ok {
		return fmt.Errorf("operator %s is not one this project writes", kind)
	}
	if in < a.minIn || in > a.maxIn || out < a.minOut || out > a.maxOut {
		return fmt.Errorf("operator %s has %d inputs and %d outputs", kind, in, out)
	}
	return nil
}

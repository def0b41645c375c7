package ir

import "fmt"

// GlobalAvgPool averages each channel of x N×C×H×W; the output is N×C.
type GlobalAvgPool struct{}

func (GlobalAvgPool) Kind() string { return "GlobalAvgPool" }

func (GlobalAvgPool) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if len(s) != 4 {
		return nil, fmt.Errorf("input %v must have rank 4", s)
	}
	return []Type{{in[0].DType, Shape{s[0], s[1]}}}, nil
}

// GlobalAvgPoolGrad spreads dy N×C evenly over N×C×Input[0]×Input[1].
type GlobalAvgPoolGrad struct{ Input [2]int }

func (GlobalAvgPoolGrad) Kind() string { return "GlobalAvgPoolGrad" }

func (o GlobalAvgPoolGrad) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if len(s) != 2 {
		return nil, fmt.Errorf("gradient %v must have rank 2", s)
	}
	return []Type{{in[0].DType, Shape{s[0], s[1], o.Input[0], o.Input[1]}}}, nil
}

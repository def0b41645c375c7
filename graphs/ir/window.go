package ir

import "fmt"

// PoolAttr describes the windows of a pooling operator. Pairs are (vertical,
// horizontal); Pad is (top, left, bottom, right). A window that would hang over
// the edge (PyTorch's ceil_mode) is a padding after the map.
type PoolAttr struct {
	Kernel, Stride [2]int
	Pad            [4]int
}

// Windows returns attributes of square windows with the same padding on all
// sides.
func Windows(kernel, stride, pad int) PoolAttr {
	return PoolAttr{Kernel: [2]int{kernel, kernel}, Stride: [2]int{stride, stride}, Pad: [4]int{pad, pad, pad, pad}}
}

// Evenly reports whether both sides of each axis are padded by the same.
func (a PoolAttr) Evenly() bool { return a.Pad[0] == a.Pad[2] && a.Pad[1] == a.Pad[3] }

// OutSize returns the output's height and width for an input's. Padding is less
// than a window, so that each holds a pixel.
func (a PoolAttr) OutSize(in [2]int) ([2]int, error) {
	var out [2]int
	for i := range 2 {
		if a.Kernel[i] < 1 || a.Stride[i] < 1 {
			return out, fmt.Errorf("kernel %v and stride %v must be positive", a.Kernel, a.Stride)
		}
		if before, after := a.Pad[i], a.Pad[i+2]; before < 0 || after < 0 || before >= a.Kernel[i] || after >= a.Kernel[i] {
			return out, fmt.Errorf("padding %v must be at least 0 and below the kernel %v", a.Pad, a.Kernel)
		}
		span := in[i] + a.Pad[i] + a.Pad[i+2] - a.Kernel[i]
		if span < 0 {
			return out, fmt.Errorf("kernel %v exceeds the padded input %v", a.Kernel, in)
		}
		out[i] = span/a.Stride[i] + 1
	}
	return out, nil
}

// result returns the type of the pooled N×C×H×W map.
func (a PoolAttr) result(t Type) (Type, error) {
	x := t.Shape
	if len(x) != 4 {
		return Type{}, fmt.Errorf("input %v must have rank 4", x)
	}
	out, err := a.OutSize([2]int{x[2], x[3]})
	if err != nil {
		return Type{}, err
	}
	return Type{t.DType, Shape{x[0], x[1], out[0], out[1]}}, nil
}

// MaxPool takes the largest element of each window of x N×C×H×W. Padding never
// wins.
type MaxPool struct{ PoolAttr }

func (MaxPool) Kind() string { return "MaxPool" }

func (o MaxPool) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	y, err := o.result(in[0])
	if err != nil {
		return nil, err
	}
	return []Type{y}, nil
}

// MaxPoolGrad is the gradient of MaxPool: from dy, x and y it returns dx. Of
// equal largest elements of a window the first in row-major order gets all of
// the gradient, as in PyTorch.
type MaxPoolGrad struct{ PoolAttr }

func (MaxPoolGrad) Kind() string { return "MaxPoolGrad" }

func (o MaxPoolGrad) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 3); err != nil {
		return nil, err
	}
	y, err := o.result(in[1])
	if err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(y.Shape) || !in[2].Shape.Equal(y.Shape) {
		return nil, fmt.Errorf("gradient is %v and output %v, want %v", in[0].Shape, in[2].Shape, y.Shape)
	}
	return []Type{in[1]}, nil
}

// AvgPool averages each window of x N×C×H×W. With CountPad padding counts as
// zeros (PyTorch's default); without, a window at the edge is averaged over its
// pixels alone.
type AvgPool struct {
	PoolAttr
	CountPad bool
}

func (AvgPool) Kind() string { return "AvgPool" }

func (o AvgPool) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	y, err := o.result(in[0])
	if err != nil {
		return nil, err
	}
	return []Type{y}, nil
}

// Counts returns what the sum of each window of an axis of the given length is
// divided by; axis is 0 for rows and 1 for columns. A window's divisor is the
// product of both.
func (o AvgPool) Counts(axis, length int) []int {
	n := (length+o.Pad[axis]+o.Pad[axis+2]-o.Kernel[axis])/o.Stride[axis] + 1
	counts := make([]int, n)
	for i := range counts {
		counts[i] = o.Kernel[axis]
		if !o.CountPad {
			first := i*o.Stride[axis] - o.Pad[axis]
			counts[i] = min(first+o.Kernel[axis], length) - max(first, 0)
		}
	}
	return counts
}

// AvgPoolGrad is the gradient of AvgPool: from dy it returns dx
// N×C×Input[0]×Input[1].
type AvgPoolGrad struct {
	AvgPool
	Input [2]int
}

func (AvgPoolGrad) Kind() string { return "AvgPoolGrad" }

func (o AvgPoolGrad) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 1); err != nil {
		return nil, err
	}
	dy := in[0].Shape
	if len(dy) != 4 {
		return nil, fmt.Errorf("gradient %v must have rank 4", dy)
	}
	x := Shape{dy[0], dy[1], o.Input[0], o.Input[1]}
	y, err := o.result(Type{in[0].DType, x})
	if err != nil {
		return nil, err
	}
	if !dy.Equal(y.Shape) {
		return nil, fmt.Errorf("gradient is %v, want %v", dy, y.Shape)
	}
	return []Type{{in[0].DType, x}}, nil
}

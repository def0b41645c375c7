package ir

import "fmt"

// ConvAttr are the attributes that a convolution and its two gradients share.
// Pairs are (vertical, horizontal); Pad is (top, left, bottom, right).
type ConvAttr struct {
	Stride   [2]int
	Pad      [4]int
	Dilation [2]int
	Groups   int
}

// Window returns attributes of a plain convolution: one stride, the same
// padding on all sides, no dilation, one group.
func Window(stride, pad int) ConvAttr {
	return ConvAttr{
		Stride: [2]int{stride, stride}, Pad: [4]int{pad, pad, pad, pad},
		Dilation: [2]int{1, 1}, Groups: 1,
	}
}

// Depthwise reports whether the convolution of C channels by w has one filter
// for each channel.
func (a ConvAttr) Depthwise(w Shape) bool {
	return a.Groups > 1 && w[0] == a.Groups && w[1] == 1
}

func (a ConvAttr) validate() error {
	for i := range 2 {
		if a.Stride[i] < 1 || a.Dilation[i] < 1 {
			return fmt.Errorf("stride %v and dilation %v must be positive", a.Stride, a.Dilation)
		}
	}
	for _, p := range a.Pad {
		if p < 0 {
			return fmt.Errorf("padding %v must not be negative", a.Pad)
		}
	}
	if a.Groups < 1 {
		return fmt.Errorf("groups %d must be positive", a.Groups)
	}
	return nil
}

// OutSize returns the output's height and width for an input and a kernel.
func (a ConvAttr) OutSize(in, kernel [2]int) ([2]int, error) {
	var out [2]int
	for i := range 2 {
		extent := (kernel[i]-1)*a.Dilation[i] + 1
		span := in[i] + a.Pad[i] + a.Pad[i+2] - extent
		if span < 0 {
			return out, fmt.Errorf("kernel extent %d exceeds the padded input %d", extent, span+extent)
		}
		out[i] = span/a.Stride[i] + 1
	}
	return out, nil
}

// Conv is the 2-D cross-correlation of x N×C×H×W with w O×(C/Groups)×kh×kw; a
// third input, a bias [O], is added to the result.
type Conv struct{ ConvAttr }

func (Conv) Kind() string { return "Conv" }

func (o Conv) Infer(in []Type) ([]Type, error) {
	dtype, err := uniform(in, 2+len(in)/3)
	if err != nil {
		return nil, err
	}
	x, w := in[0].Shape, in[1].Shape
	out, err := o.check(x, w)
	if err != nil {
		return nil, err
	}
	if len(in) == 3 && !in[2].Shape.Equal(Shape{w[0]}) {
		return nil, fmt.Errorf("bias %v does not fit weights %v", in[2].Shape, w)
	}
	return []Type{{dtype, Shape{x[0], w[0], out[0], out[1]}}}, nil
}

// check validates x N×C×H×W against w O×I×kh×kw and returns the output size.
func (a ConvAttr) check(x, w Shape) ([2]int, error) {
	if err := a.validate(); err != nil {
		return [2]int{}, err
	}
	if len(x) != 4 || len(w) != 4 {
		return [2]int{}, fmt.Errorf("input %v and weights %v must have rank 4", x, w)
	}
	if x[1] != w[1]*a.Groups || w[0]%a.Groups != 0 {
		return [2]int{}, fmt.Errorf("input %v does not fit weights %v in %d groups", x, w, a.Groups)
	}
	return a.OutSize([2]int{x[2], x[3]}, [2]int{w[2], w[3]})
}

// ConvGradInput is the gradient of Conv with respect to x: from dy N×O×oh×ow
// and w it returns dx N×C×Input[0]×Input[1].
type ConvGradInput struct {
	ConvAttr
	Input [2]int
}

func (ConvGradInput) Kind() string { return "ConvGradInput" }

func (o ConvGradInput) Infer(in []Type) ([]Type, error) {
	dtype, err := uniform(in, 2)
	if err != nil {
		return nil, err
	}
	dy, w := in[0].Shape, in[1].Shape
	if len(dy) != 4 || len(w) != 4 {
		return nil, fmt.Errorf("gradient %v and weights %v must have rank 4", dy, w)
	}
	x := Shape{dy[0], w[1] * o.Groups, o.Input[0], o.Input[1]}
	out, err := o.check(x, w)
	if err != nil {
		return nil, err
	}
	if want := (Shape{x[0], w[0], out[0], out[1]}); !dy.Equal(want) {
		return nil, fmt.Errorf("gradient is %v, want %v", dy, want)
	}
	return []Type{{dtype, x}}, nil
}

// ConvGradWeight is the gradient of Conv with respect to w: from dy N×O×oh×ow
// and x N×C×H×W it returns dw O×(C/Groups)×Kernel[0]×Kernel[1], float32.
type ConvGradWeight struct {
	ConvAttr
	Kernel [2]int
}

func (ConvGradWeight) Kind() string { return "ConvGradWeight" }

func (o ConvGradWeight) Infer(in []Type) ([]Type, error) {
	if _, err := uniform(in, 2); err != nil {
		return nil, err
	}
	dy, x := in[0].Shape, in[1].Shape
	if len(dy) != 4 || len(x) != 4 {
		return nil, fmt.Errorf("gradient %v and input %v must have rank 4", dy, x)
	}
	if o.Groups < 1 || x[1]%o.Groups != 0 {
		return nil, fmt.Errorf("input %v does not divide into %d groups", x, o.Groups)
	}
	w := Shape{dy[1], x[1] / o.Groups, o.Kernel[0], o.Kernel[1]}
	out, err := o.check(x, w)
	if err != nil {
		return nil, err
	}
	if want := (Shape{x[0], w[0], out[0], out[1]}); !dy.Equal(want) {
		return nil, fmt.Errorf("gradient is %v, want %v", dy, want)
	}
	return []Type{{Float32, w}}, nil
}

package importer

import (
	"github.com/ortrain/ortrain/graphs/ir"
)

// Convolutions, linear layers and pooling.

// translations turn a node into operators of package ir.
var translations = map[string]func(*walker){}

func translate(f func(*walker), ops ...string) {
	for _, op := range ops {
		translations[op] = f
	}
}

func init() {
	translate(conv, "Conv")
	translate(gemm, "Gemm")
	translate(matMul, "MatMul")
	translate(maxPool, "MaxPool")
	translate(averagePool, "AveragePool")
	translate(globalAveragePool, "GlobalAveragePool")
	translate(globalMaxPool, "GlobalMaxPool")
	translate(dropout, "Dropout")
}

// windows are the attributes that convolutions and pooling share.
type windows struct {
	kernel, stride, dilation [2]int
	pad                      [4]int
}

func (w *walker) windows(x *ir.Value, kernel []int) windows {
	if len(x.Shape) != 4 || len(kernel) != 2 {
		w.fail("it takes a value of shape %v; images N×C×H×W are expected", x.Shape)
	}
	pair := func(name string) [2]int {
		v := w.ints(name)
		if v == nil {
			v = []int{1, 1}
		}
		if len(v) != 2 || v[0] < 1 || v[1] < 1 {
			w.fail("%s are %v", name, v)
		}
		return [2]int(v)
	}
	o := windows{kernel: [2]int(kernel), stride: pair("strides"), dilation: pair("dilations")}
	for _, k := range kernel {
		if k < 1 || k > maxDim {
			w.fail("the kernel is %v", kernel)
		}
	}
	if v := w.ints("pads"); v != nil {
		if len(v) != 4 {
			w.fail("pads are %v", v)
		}
		o.pad = [4]int(v)
	}
	switch mode := w.text("auto_pad"); mode {
	case "SAME_UPPER", "SAME_LOWER":
		for i := range 2 {
			in := x.Shape[2+i]
			out := (in + o.stride[i] - 1) / o.stride[i]
			total := max(0, (out-1)*o.stride[i]+(o.kernel[i]-1)*o.dilation[i]+1-in)
			o.pad[i], o.pad[i+2] = total/2, total-total/2
			if mode == "SAME_LOWER" {
				o.pad[i], o.pad[i+2] = o.pad[i+2], o.pad[i]
			}
		}
	case "VALID":
		o.pad = [4]int{}
	}
	return o
}

func conv(w *walker) {
	x := w.tensor(0)
	shape := w.constShape(1)
	if len(shape) != 4 {
		w.fail("its weights have shape %v; two-dimensional convolutions are expected", shape)
	}
	o := w.windows(x, shape[2:])
	op := ir.Conv{ConvAttr: ir.ConvAttr{Stride: o.stride, Pad: o.pad, Dilation: o.dilation, Groups: w.int("group", 1)}}
	in := []*ir.Value{x, w.weight(1, w.headShape(shape), shape[1]*shape[2]*shape[3])}
	if w.has(2) {
		in = append(in, w.bias(2, ir.Shape{in[1].Shape[0]}))
	}
	w.set(0, w.one(op, in...))
}

// constShape returns the dimensions of an input that is a constant of the file.
func (w *walker) constShape(i int) ir.Shape {
	v := w.in(i)
	if v.name == "" {
		w.fail("its weights %q are computed, not given", w.node.GetInput()[i])
	}
	return w.s.tensors[v.name].shape()
}

func gemm(w *walker) {
	if w.int("transA", 0) != 0 {
		w.fail("a transposed input has no gradient here")
	}
	x := w.tensor(0)
	trans := w.int("transB", 0) != 0
	var weight *ir.Value
	if w.isConst(1) {
		s := w.constShape(1)
		if len(s) != 2 {
			w.fail("its weights have shape %v", s)
		}
		fan := s[0]
		if trans {
			fan = s[1]
		}
		weight = w.weight(1, w.headShape(s), fan)
	} else {
		weight = w.tensor(1)
	}
	y := w.one(ir.MatMul{TransB: trans}, x, weight)
	if a := w.float("alpha", 1); a != 1 {
		y = w.times(y, float64(a))
	}
	if w.has(2) {
		var c *ir.Value
		if w.isConst(2) {
			s := w.constShape(2)
			if w.isHead() {
				s = ir.Shape{w.c.Classes}
			}
			c = w.bias(2, s)
		} else {
			c = w.tensor(2)
		}
		if b := w.float("beta", 1); b != 1 {
			c = w.times(c, float64(b))
		}
		y = w.binary(ir.Add, y, c)
	}
	w.set(0, y)
}

func matMul(w *walker) {
	a := w.tensor(0)
	var b *ir.Value
	if w.isConst(1) {
		s := w.constShape(1)
		if len(s) != 2 {
			w.fail("its weights have shape %v", s)
		}
		b = w.weight(1, w.headShape(s), s[0])
	} else {
		b = w.tensor(1)
	}
	if len(a.Shape) == 2 && len(b.Shape) == 2 {
		w.set(0, w.one(ir.MatMul{}, a, b))
		return
	}
	w.set(0, w.one(ir.BatchMatMul{}, a, b))
}

// pool reads the attributes of pooling; overhang tells whether rounding up
// (ceil_mode) lets windows hang over the edge.
func (w *walker) pool(x *ir.Value) (a ir.PoolAttr, overhang bool) {
	o := w.windows(x, w.ints("kernel_shape"))
	if o.dilation != [2]int{1, 1} {
		w.fail("dilated windows have no gradient here")
	}
	a = ir.PoolAttr{Kernel: o.kernel, Stride: o.stride, Pad: o.pad}
	if w.int("ceil_mode", 0) != 0 {
		for i := range 2 {
			span := x.Shape[2+i] + a.Pad[i] + a.Pad[i+2] - a.Kernel[i]
			more := (a.Stride[i] - max(span, 0)%a.Stride[i]) % a.Stride[i]
			// A window must not begin behind the map.
			if more > 0 && span+more < x.Shape[2+i]+a.Pad[i] {
				a.Pad[i+2] += more
				overhang = true
			}
		}
	}
	return a, overhang
}

func maxPool(w *walker) {
	x := w.tensor(0)
	if len(w.node.GetOutput()) > 1 && w.node.GetOutput()[1] != "" {
		w.fail("the positions of the maxima have no gradient here")
	}
	a, _ := w.pool(x)
	w.set(0, w.one(ir.MaxPool{PoolAttr: a}, x))
}

func averagePool(w *walker) {
	x := w.tensor(0)
	a, overhang := w.pool(x)
	pads := w.int("count_include_pad", 0) != 0
	if pads && overhang {
		w.fail("windows that hang over the edge and count the padding have no gradient here")
	}
	w.set(0, w.one(ir.AvgPool{PoolAttr: a, CountPad: pads}, x))
}

func globalAveragePool(w *walker) {
	x := w.tensor(0)
	y := w.one(ir.GlobalAvgPool{}, x)
	w.set(0, w.reshape(y, ir.Shape{y.Shape[0], y.Shape[1], 1, 1}))
}

func globalMaxPool(w *walker) {
	x := w.tensor(0)
	if len(x.Shape) != 4 {
		w.fail("it takes a value of shape %v", x.Shape)
	}
	k := [2]int{x.Shape[2], x.Shape[3]}
	w.set(0, w.one(ir.MaxPool{PoolAttr: ir.PoolAttr{Kernel: k, Stride: k}}, x))
}

// dropout is active in training, as it was when the network was made.
func dropout(w *walker) {
	x := w.tensor(0)
	p := float64(w.float("ratio", 0.5))
	if w.has(1) {
		p = w.number(1)
	}
	if !(p >= 0 && p < 1) {
		w.fail("the ratio is %g", p)
	}
	w.set(0, w.b.Dropout(w.node.GetOutput()[0], x, p))
}

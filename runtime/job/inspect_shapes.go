package job

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// infer records the shapes of the outputs of a node, which has at least one, when they follow from what is
// known. An operator it does not know leaves them unknown, unless the file
// states them.
func (s *shapes) infer(n *onnx.NodeProto) {
	in := make([][]int64, len(n.GetInput()))
	for i, name := range n.GetInput() {
		in[i] = s.dims[name]
	}
	if n.GetOpType() == "Constant" {
		if a := attribute(n, "value"); a != nil && a.GetT() != nil {
			s.constant(n.GetOutput()[0], a.GetT())
		}
		return
	}
	if len(in) == 0 || in[0] == nil {
		s.inferBlind(n)
		return
	}
	if n.GetOpType() == "Split" {
		s.split(n, in[0])
		return
	}
	if d := s.output(n, in); d != nil {
		s.dims[n.GetOutput()[0]] = d
	}
}

// inferBlind handles what follows without the first input's shape: a product
// with a stored matrix has one row for one image.
func (s *shapes) inferBlind(n *onnx.NodeProto) {
	if n.GetOpType() != "Gemm" || len(n.GetInput()) < 2 {
		return
	}
	b := s.dims[n.GetInput()[1]]
	if len(b) != 2 || attrInt(n, "transA", 0) != 0 {
		return
	}
	k, m := b[0], b[1]
	if attrInt(n, "transB", 0) != 0 {
		k, m = m, k
	}
	s.dims[n.GetInput()[0]] = []int64{1, k}
	s.dims[n.GetOutput()[0]] = []int64{1, m}
}

// constants returns the known content of an integer input.
func (s *shapes) constants(n *onnx.NodeProto, i int) ([]int64, bool) {
	if i >= len(n.GetInput()) {
		return nil, false
	}
	v, ok := s.ints[n.GetInput()[i]]
	return v, ok
}

// output returns the shape of a node's first output, or nil.
func (s *shapes) output(n *onnx.NodeProto, in [][]int64) []int64 {
	x := in[0]
	switch n.GetOpType() {
	case "Relu", "Neg", "Sqrt", "Exp", "Log", "Abs", "Sign", "Identity", "Cast", "Reciprocal", "HardSigmoid",
		"Sigmoid", "Tanh", "Clip", "LeakyRelu", "Dropout", "LRN", "Softmax", "LogSoftmax", "BatchNormalization",
		"QuantizeLinear", "DequantizeLinear", "Erf", "Elu", "HardSwish", "Gelu", "LayerNormalization", "ReorderInput", "ReorderOutput":
		return x
	case "Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Pow", "Greater", "Where", "PRelu":
		return broadcast(in)
	case "Conv", "FusedConv", "MaxPool", "AveragePool", "ConvTranspose":
		return windowed(n, in)
	case "GlobalAveragePool", "GlobalMaxPool":
		d := slices.Clone(x)
		for i := 2; i < len(d); i++ {
			d[i] = 1
		}
		return d
	case "Gemm", "MatMul", "FusedMatMul":
		return product(n, in)
	case "Flatten":
		axis := int(attrInt(n, "axis", 1))
		if axis < 0 || axis > len(x) {
			return nil
		}
		return []int64{size(x[:axis]), size(x[axis:])}
	case "Transpose":
		return transposed(n, x)
	case "Reshape":
		return s.reshaped(n, x)
	case "Expand":
		if to, ok := s.constants(n, 1); ok {
			return broadcast([][]int64{x, to})
		}
	case "ConstantOfShape":
		if to, ok := s.constants(n, 0); ok {
			return slices.Clone(to)
		}
	case "Concat":
		return concatenated(n, in)
	case "ReduceSum", "ReduceMean":
		return s.reduced(n, x)
	case "Slice":
		return s.sliced(n, x)
	case "Pad":
		return s.padded(n, x)
	case "Gather":
		at, ok := axis(attrInt(n, "axis", 0), len(x))
		if !ok || len(in) < 2 || in[1] == nil {
			return nil
		}
		return slices.Concat(x[:at], in[1], x[at+1:])
	case "Range":
		return s.ranged(n)
	case "SpaceToDepth":
		if b := attrInt(n, "blocksize", 1); len(x) == 4 && b > 0 {
			return []int64{x[0], x[1] * b * b, x[2] / b, x[3] / b}
		}
	}
	return nil
}

func broadcast(in [][]int64) []int64 {
	var out []int64
	for _, d := range in {
		if d == nil {
			return nil
		}
		for len(out) < len(d) {
			out = append([]int64{1}, out...)
		}
		for i, v := range d {
			if at := len(out) - len(d) + i; v != 1 {
				out[at] = v
			}
		}
	}
	if out == nil {
		return []int64{}
	}
	return out
}

// windowed covers convolutions and pools over any number of space axes.
func windowed(n *onnx.NodeProto, in [][]int64) []int64 {
	x := in[0]
	space := len(x) - 2
	if space < 1 {
		return nil
	}
	out := []int64{x[0], x[1]}
	var kernel []int64
	transpose := n.GetOpType() == "ConvTranspose"
	if op := n.GetOpType(); op == "MaxPool" || op == "AveragePool" {
		kernel = attrInts(n, "kernel_shape", space, 1)
	} else {
		if len(in) < 2 || len(in[1]) != len(x) {
			return nil
		}
		kernel = in[1][2:]
		out[1] = in[1][0]
		if transpose {
			out[1] = in[1][1] * attrInt(n, "group", 1)
		}
	}
	stride := attrInts(n, "strides", space, 1)
	dilation := attrInts(n, "dilations", space, 1)
	pads := attrInts(n, "pads", 2*space, 0)
	extra := attrInts(n, "output_padding", space, 0)
	same := false
	if a := attribute(n, "auto_pad"); a != nil {
		same = len(a.GetS()) >= 4 && string(a.GetS()[:4]) == "SAME"
	}
	for i := range space {
		if stride[i] < 1 {
			return nil
		}
		reach := dilation[i]*(kernel[i]-1) + 1
		pad := pads[i] + pads[space+i]
		var v int64
		switch {
		case transpose:
			v = stride[i]*(x[2+i]-1) + extra[i] + reach - pad
		case same:
			v = (x[2+i] + stride[i] - 1) / stride[i]
		default:
			v = x[2+i] + pad - reach
			if attrInt(n, "ceil_mode", 0) != 0 {
				v += stride[i] - 1
			}
			v = v/stride[i] + 1
		}
		if v < 0 {
			return nil
		}
		out = append(out, v)
	}
	return out
}

func product(n *onnx.NodeProto, in [][]int64) []int64 {
	if len(in) < 2 || len(in[0]) < 2 || len(in[1]) < 2 {
		return nil
	}
	a, b := in[0], in[1]
	rows, columns := a[len(a)-2], b[len(b)-1]
	if attrInt(n, "transA", 0) != 0 {
		rows = a[len(a)-1]
	}
	if attrInt(n, "transB", 0) != 0 {
		columns = b[len(b)-2]
	}
	batch := broadcast([][]int64{a[:len(a)-2], b[:len(b)-2]})
	return append(batch, rows, columns)
}

func transposed(n *onnx.NodeProto, x []int64) []int64 {
	perm := make([]int64, len(x))
	for i := range perm {
		perm[i] = int64(len(x) - 1 - i)
	}
	if a := attribute(n, "perm"); a != nil {
		perm = a.GetInts()
	}
	out := make([]int64, len(perm))
	for i, p := range perm {
		if p < 0 || int(p) >= len(x) {
			return nil
		}
		out[i] = x[p]
	}
	return out
}

func (s *shapes) reshaped(n *onnx.NodeProto, x []int64) []int64 {
	to, ok := s.constants(n, 1)
	if !ok {
		return nil
	}
	out := slices.Clone(to)
	open, rest := -1, int64(1)
	for i, d := range out {
		switch {
		case d == 0 && i < len(x):
			out[i] = x[i]
		case d == -1 && open < 0:
			open = i
			continue
		case d < 1:
			return nil
		}
		rest *= max(out[i], 1)
	}
	if open >= 0 {
		out[open] = size(x) / rest
	}
	return out
}

// axis turns a possibly negative axis into an index below rank.
func axis(a int64, rank int) (int, bool) {
	if a < 0 {
		a += int64(rank)
	}
	return int(a), a >= 0 && int(a) < rank
}

func concatenated(n *onnx.NodeProto, in [][]int64) []int64 {
	out := slices.Clone(in[0])
	at, ok := axis(attrInt(n, "axis", 0), len(out))
	if !ok {
		return nil
	}
	for _, d := range in[1:] {
		if len(d) != len(out) {
			return nil
		}
		out[at] += d[at]
	}
	return out
}

func (s *shapes) split(n *onnx.NodeProto, x []int64) {
	at, ok := axis(attrInt(n, "axis", 0), len(x))
	if !ok {
		return
	}
	sizes, known := s.constants(n, 1)
	for i, name := range n.GetOutput() {
		d := slices.Clone(x)
		switch {
		case known && i < len(sizes):
			d[at] = sizes[i]
		case !known && x[at]%int64(len(n.GetOutput())) == 0:
			d[at] = x[at] / int64(len(n.GetOutput()))
		default:
			return
		}
		s.dims[name] = d
	}
}

func (s *shapes) reduced(n *onnx.NodeProto, x []int64) []int64 {
	axes, ok := s.constants(n, 1)
	if a := attribute(n, "axes"); a != nil {
		axes, ok = a.GetInts(), true
	}
	if !ok && len(n.GetInput()) > 1 {
		return nil
	}
	gone := make([]bool, len(x))
	for _, a := range axes {
		at, ok := axis(a, len(x))
		if !ok {
			return nil
		}
		gone[at] = true
	}
	keep := attrInt(n, "keepdims", 1) != 0
	out := []int64{}
	for i, d := range x {
		switch {
		case !gone[i] && len(axes) > 0:
			out = append(out, d)
		case keep:
			out = append(out, 1)
		}
	}
	return out
}

func (s *shapes) sliced(n *onnx.NodeProto, x []int64) []int64 {
	starts, ok1 := s.constants(n, 1)
	ends, ok2 := s.constants(n, 2)
	if !ok1 || !ok2 || len(starts) != len(ends) {
		return nil
	}
	axes, given := s.constants(n, 3)
	steps, stepped := s.constants(n, 4)
	out := slices.Clone(x)
	for i := range starts {
		at, step, ok := i, int64(1), i < len(x)
		if given && i < len(axes) {
			at, ok = axis(axes[i], len(x))
		}
		if stepped && i < len(steps) {
			step = steps[i]
		}
		if !ok || step == 0 {
			return nil
		}
		out[at] = sliceLength(x[at], starts[i], ends[i], step)
	}
	return out
}

// sliceLength counts start, start+step, … before end on an axis of length d.
func sliceLength(d, start, end, step int64) int64 {
	if start < 0 {
		start += d
	}
	if end < 0 {
		end += d // an end far below zero means "past the first" going down
	}
	if step > 0 {
		start, end = min(max(start, 0), d), min(max(end, 0), d)
		return max(0, (end-start+step-1)/step)
	}
	start, end = min(max(start, 0), d-1), min(max(end, -1), d-1)
	return max(0, (start-end-step-1)/-step)
}

func (s *shapes) ranged(n *onnx.NodeProto) []int64 {
	var v [3]int64 // start, limit, delta
	for i := range v {
		c, ok := s.constants(n, i)
		if !ok || len(c) != 1 {
			return nil
		}
		v[i] = c[0]
	}
	switch {
	case v[2] > 0:
		return []int64{max(0, (v[1]-v[0]+v[2]-1)/v[2])}
	case v[2] < 0:
		return []int64{max(0, (v[0]-v[1]-v[2]-1)/-v[2])}
	}
	return nil
}

func (s *shapes) padded(n *onnx.NodeProto, x []int64) []int64 {
	pads, ok := s.constants(n, 1)
	if a := attribute(n, "pads"); a != nil {
		pads, ok = a.GetInts(), true
	}
	if _, axes := s.constants(n, 3); !ok || axes || len(pads) != 2*len(x) {
		return nil
	}
	out := slices.Clone(x)
	for i := range out {
		out[i] += pads[i] + pads[len(x)+i]
	}
	return out
}

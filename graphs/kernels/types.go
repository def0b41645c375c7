package kernels

import (
	"slices"

	"github.com/ortrain/ortrain/graphs/onnx"
)

// names are the element types as the lists call them.
var names = map[onnx.TensorProto_DataType]string{
	onnx.TensorProto_FLOAT: "f32", onnx.TensorProto_DOUBLE: "f64", onnx.TensorProto_FLOAT16: "f16", onnx.TensorProto_BFLOAT16: "bf16",
	onnx.TensorProto_INT8: "i8", onnx.TensorProto_INT16: "i16", onnx.TensorProto_INT32: "i32", onnx.TensorProto_INT64: "i64",
	onnx.TensorProto_UINT8: "u8", onnx.TensorProto_UINT16: "u16", onnx.TensorProto_UINT32: "u32", onnx.TensorProto_UINT64: "u64",
	onnx.TensorProto_BOOL: "bool", onnx.TensorProto_STRING: "str",
}

// value is what is known of a value: its element type, "" if that is not
// known; whether it is the same in every run; whether it is a shape, or
// computed from shapes alone.
type value struct {
	typ             string
	constant, shape bool
}

// read fills in what a graph declares.
func read(g *onnx.GraphProto, outer map[string]value) map[string]value {
	known := map[string]value{}
	for name, v := range outer {
		known[name] = v
	}
	for _, list := range [][]*onnx.ValueInfoProto{g.GetInput(), g.GetValueInfo(), g.GetOutput()} {
		for _, v := range list {
			if t := v.GetType().GetTensorType(); t != nil {
				known[v.GetName()] = value{typ: names[onnx.TensorProto_DataType(t.GetElemType())]}
			}
		}
	}
	for _, t := range g.GetInitializer() {
		known[t.GetName()] = value{typ: names[onnx.TensorProto_DataType(t.GetDataType())], constant: true}
	}
	return known
}

// infer tells what is known of output k of a node from its inputs.
func (l *List) infer(n *onnx.NodeProto, opset, k int, known map[string]value) value {
	v := known[n.GetOutput()[k]] // what is declared
	v.constant, v.shape = len(n.GetInput()) > 0, n.GetOpType() == "Shape" || n.GetOpType() == "Size"
	shapes, others := 0, 0
	for _, in := range n.GetInput() {
		if in == "" {
			continue
		}
		x := known[in]
		v.constant = v.constant && x.constant
		if x.shape {
			shapes++
		} else if !x.constant {
			others++
		}
	}
	v.shape = v.shape || shapes > 0 && others == 0
	if n.GetOpType() == "Constant" {
		v.constant = true
	}
	if v.typ != "" {
		return v
	}
	if slices.Contains(l.whole, n.GetDomain()) {
		return v // its types are the library's affair
	}
	switch n.GetOpType() {
	case "Cast", "RandomNormal", "RandomUniform", "EyeLike":
		for _, a := range n.GetAttribute() {
			if a.GetName() == "to" || a.GetName() == "dtype" {
				v.typ = names[onnx.TensorProto_DataType(a.GetI())]
			}
		}
		return v
	case "Constant", "ConstantOfShape":
		v.typ = "f32"
		for _, a := range n.GetAttribute() {
			switch a.GetName() {
			case "value":
				v.typ = names[onnx.TensorProto_DataType(a.GetT().GetDataType())]
			case "value_int", "value_ints":
				v.typ = "i64"
			}
		}
		return v
	}
	if e := l.operators[operator{n.GetDomain(), n.GetOpType()}]; e != nil {
		for _, kernel := range e.serving(opset) {
			if where, _ := kernel.misfit(n, known); where != "" {
				continue
			}
			for _, g := range kernel.groups {
				if !g.holds(true, k) {
					continue
				}
				for i, in := range n.GetInput() {
					if in != "" && g.holds(false, i) && known[in].typ != "" {
						v.typ = known[in].typ
						return v
					}
				}
				if len(g.types) == 1 {
					v.typ = g.types[0]
					return v
				}
			}
		}
	}
	if len(n.GetInput()) > 0 && k == 0 {
		v.typ = known[n.GetInput()[0]].typ
	}
	return v
}

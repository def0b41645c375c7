package lower

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// The operator domains of ONNX Runtime's own operators: contributed ones, and
// those of its blocked layout.
const (
	microsoft = "com.microsoft"
	nchwc     = "com.microsoft.nchwc"
)

// Emitter collects the ONNX nodes of a model.
type Emitter struct {
	g     *ir.Graph
	opts  Options
	uses  map[*ir.Value][]*ir.Node
	graph *onnx.GraphProto
	// skip holds nodes that a fusion has taken over; fused the function that
	// emits a fusion in place of its last node.
	skip  map[*ir.Node]bool
	fused map[*ir.Node]func()

	// plain and blocked hold the names of a value's emitted copies, in the
	// layout N×C×H×W, and in channel blocks or with channels last; reserved the
	// name under which a value leaves the graph.
	plain, blocked, reserved map[*ir.Value]string
	// sums holds what a norm's gradient needs and has been summed up already:
	// Σdy and Σdy·(x − mean).
	sums map[*ir.Node][2]string

	// widened holds, while a form that knows only float32 emits its node, the
	// float32 copies of that node's float16 values in plain layout, widenedLast
	// those with channels last; half tells that the present form computes in
	// float16 (see halves.go).
	widened, widenedLast *copies
	half                 bool

	taken   map[string]bool
	consts  map[string]string
	shared  map[string]string
	domains map[string]bool
	current *ir.Node
}

func newEmitter(g *ir.Graph, o Options) *Emitter {
	e := &Emitter{
		g: g, opts: o, uses: g.Uses(),
		graph:    &onnx.GraphProto{Name: g.Name},
		skip:     map[*ir.Node]bool{},
		fused:    map[*ir.Node]func(){},
		plain:    map[*ir.Value]string{},
		blocked:  map[*ir.Value]string{},
		reserved: map[*ir.Value]string{},
		sums:     map[*ir.Node][2]string{},
		taken:    map[string]bool{},
		consts:   map[string]string{},
		shared:   map[string]string{},
		domains:  map[string]bool{},
	}
	for _, v := range g.Inputs {
		e.plain[v] = v.Name
		e.taken[v.Name] = true
	}
	// A value that leaves the graph is emitted under its output name; the
	// first one wins, further names get an Identity.
	for _, o := range g.Outputs {
		if o.Value.Node != nil && e.reserved[o.Value] == "" {
			e.reserved[o.Value] = o.Name
		}
		e.taken[o.Name] = true
	}
	return e
}

// in returns the name of an emitted value in plain layout.
func (e *Emitter) in(v *ir.Value) string {
	if e.widened != nil && v.DType == ir.Float16 {
		return e.widen(e.widened, v, e.in)
	}
	if name := e.plain[v]; name != "" {
		return name
	}
	switch b := e.blocked[v]; {
	case b != "" && e.channelsLast():
		e.fromLast(v, b)
	case b != "":
		e.emit("com.microsoft.nchwc:ReorderOutput", []string{b}, []string{e.out(v)},
			onnx.AttrInt("channels", int64(v.Shape[1])))
	case v.IsConst() && v.Anonymous:
		e.plain[v] = e.constant(v.DType, v.Shape, v.Data)
	case v.IsConst():
		name := e.out(v)
		e.graph.Initializer = append(e.graph.Initializer, numbers(v.DType, name, v.Shape, v.Data))
	default:
		panic(fmt.Sprintf("lower: %q is read before it is emitted", v.Name))
	}
	return e.plain[v]
}

// out names a value that is about to be emitted in plain layout.
func (e *Emitter) out(v *ir.Value) string {
	if e.widened != nil && v.DType == ir.Float16 {
		return e.outWidened(e.widened, v)
	}
	name := e.reserved[v]
	if name == "" {
		name = e.fresh(v.Name)
	}
	e.plain[v] = name
	return name
}

func (e *Emitter) fresh(name string) string {
	for n, i := name, 1; ; i++ {
		if !e.taken[n] {
			e.taken[n] = true
			return n
		}
		n = fmt.Sprintf("%s_%d", name, i)
	}
}

// tmp makes a name for an intermediate value of the current node.
func (e *Emitter) tmp(what string) string {
	base := "v"
	if e.current != nil {
		base = e.current.Name
	}
	return e.fresh(base + "/" + what)
}

// emit appends a node writing the named outputs. An op type may carry a domain
// prefix "com.microsoft:".
func (e *Emitter) emit(op string, in []string, out []string, attrs ...*onnx.AttributeProto) {
	domain, name, ok := strings.Cut(op, ":")
	if !ok {
		domain, name = "", op
	}
	e.domains[domain] = true
	e.graph.Node = append(e.graph.Node, &onnx.NodeProto{
		Name: "n" + fmt.Sprint(len(e.graph.Node)) + "/" + out[0], OpType: name, Domain: domain,
		Input: in, Output: out, Attribute: attrs,
	})
}

// do appends a node of one output with a made-up name and returns that name.
func (e *Emitter) do(op string, in []string, attrs ...*onnx.AttributeProto) string {
	_, short, ok := strings.Cut(op, ":")
	if !ok {
		short = op
	}
	out := e.tmp(short)
	e.emit(op, in, []string{out}, attrs...)
	return out
}

// once is do for a sub-expression several nodes may want: the same operator on
// the same inputs under the same key is emitted once. The key must tell
// differing attributes apart.
func (e *Emitter) once(key, op string, in []string, attrs ...*onnx.AttributeProto) string {
	k := key + "|" + op + "|" + strings.Join(in, "|")
	if name := e.shared[k]; name != "" {
		return name
	}
	name := e.do(op, in, attrs...)
	e.shared[k] = name
	return name
}

// ints returns the name of a shared int64 vector.
func (e *Emitter) ints(v ...int) string {
	key := fmt.Sprint("i", v)
	if name := e.consts[key]; name != "" {
		return name
	}
	name := e.fresh("ints" + strings.ReplaceAll(strings.Trim(fmt.Sprint(v), "[]"), " ", ","))
	data := make([]int64, len(v))
	for i, x := range v {
		data[i] = int64(x)
	}
	e.graph.Initializer = append(e.graph.Initializer, onnx.Ints(name, []int64{int64(len(v))}, data))
	e.consts[key] = name
	return name
}

// int32 returns the name of a shared int32 scalar.
func (e *Emitter) int32(v int) string {
	key := fmt.Sprint("i32 ", v)
	if e.consts[key] == "" {
		name := e.fresh(fmt.Sprintf("int32_%d", v))
		e.graph.Initializer = append(e.graph.Initializer, &onnx.TensorProto{
			Name: name, DataType: int32(onnx.TensorProto_INT32), Int32Data: []int32{int32(v)}})
		e.consts[key] = name
	}
	return e.consts[key]
}

// floats returns the name of an initializer of the type that the present form
// computes in; small ones are shared.
func (e *Emitter) floats(shape ir.Shape, data []float32) string {
	return e.constant(e.elem(), shape, data)
}

func (e *Emitter) constant(d ir.DType, shape ir.Shape, data []float32) string {
	key := ""
	if len(data) <= 16 {
		key = fmt.Sprintf("%v%v%x", d, []int(shape), data)
		if name := e.consts[key]; name != "" {
			return name
		}
	}
	name := "const"
	if len(data) == 1 {
		name = fmt.Sprintf("float%g", data[0])
	}
	if d == ir.Float16 {
		name += "_half"
	}
	name = e.fresh(name)
	e.graph.Initializer = append(e.graph.Initializer, numbers(d, name, shape, data))
	if key != "" {
		e.consts[key] = name
	}
	return name
}

// scalar returns the name of a shared scalar of the type that the present form
// computes in.
func (e *Emitter) scalar(x float32) string { return e.floats(nil, []float32{x}) }

// reshape appends a Reshape; a dimension 0 copies, −1 infers.
func (e *Emitter) reshape(x string, to ...int) string {
	return e.do("Reshape", []string{x, e.ints(to...)})
}

func dims(s ir.Shape) []int64 {
	d := make([]int64, len(s))
	for i, n := range s {
		d[i] = int64(n)
	}
	return d
}

// onlyUse reports whether v is read by exactly one node and does not leave the
// graph: a fusion may then swallow it.
func (e *Emitter) onlyUse(v *ir.Value) bool {
	return len(e.uses[v]) == 1 && !slices.ContainsFunc(e.g.Outputs, func(o ir.Output) bool { return o.Value == v })
}

// unread reports whether nothing reads v and it does not leave the graph.
func (e *Emitter) unread(v *ir.Value) bool {
	return len(e.uses[v]) == 0 && !slices.ContainsFunc(e.g.Outputs, func(o ir.Output) bool { return o.Value == v })
}

func elem(d ir.DType) onnx.TensorProto_DataType {
	switch d {
	case ir.Uint8:
		return onnx.TensorProto_UINT8
	case ir.Int64:
		return onnx.TensorProto_INT64
	case ir.Float16:
		return onnx.TensorProto_FLOAT16
	}
	return onnx.TensorProto_FLOAT
}

func (e *Emitter) info(name string, v *ir.Value) *onnx.ValueInfoProto {
	d := dims(v.Shape)
	if e.g.DynamicBatch && e.g.Batched[v] {
		d[0] = -1
	}
	return onnx.TensorInfo(name, elem(v.DType), d)
}

// finish declares inputs and outputs and wraps the graph into a model.
func (e *Emitter) finish() (*onnx.ModelProto, error) {
	for _, v := range e.g.Inputs {
		e.graph.Input = append(e.graph.Input, e.info(v.Name, v))
	}
	for _, o := range e.g.Outputs {
		if have := e.in(o.Value); have != o.Name {
			e.emit("Identity", []string{have}, []string{o.Name})
		}
		e.graph.Output = append(e.graph.Output, e.info(o.Name, o.Value))
	}
	return e.model(), nil
}

// model wraps the graph, whose inputs and outputs are declared, into a model.
func (e *Emitter) model() *onnx.ModelProto {
	e.graph.Node = runtimeOrder(e.graph.Node)
	m := &onnx.ModelProto{
		IrVersion:       irVersion,
		ProducerName:    e.opts.Producer,
		ProducerVersion: e.opts.Version,
		Graph:           e.graph,
		OpsetImport:     []*onnx.OperatorSetIdProto{{Version: Opset}},
	}
	for _, d := range []string{microsoft, nchwc, KernelDomain} {
		if e.domains[d] {
			m.OpsetImport = append(m.OpsetImport, &onnx.OperatorSetIdProto{Domain: d, Version: 1})
		}
	}
	m.MetadataProps = onnx.Metadata(e.opts.Metadata)
	return m
}

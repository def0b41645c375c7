// Package importer brings ONNX classifiers from other exporters into the IR, so
// that they can be trained like the networks of the zoo.
//
// # How it works
//
// Open reads the file and keeps the nodes that the logits depend on. The result
// is a models.Model whose Forward walks these nodes in order. A value is either
// known when the model is read (shapes, and all that is computed from them) and
// folded by this package, or it is computed in the graph: every such node
// becomes operators of package ir, which have gradients. A node that has no
// translation is refused by its name before anything is built or run.
//
// Float tensors that convolutions, matrix products and norms read as weights,
// and float initializers of more than one element, become parameters under
// their own names. A BatchNormalization becomes the norm of the zoo, with batch
// statistics in training; one that the exporter has folded stays folded.
//
// The classifier's last Gemm, MatMul or convolution is its head, which is made
// anew where the number of classes is another. A Softmax behind it is left out:
// a network here ends in logits.
//
// # The batch
//
// Training graphs have a fixed batch, deployed ones an open one. Values of the
// graph are traced for two batch sizes when a size of image is first asked for,
// and the axis in which a reshaped or repeated value differs between them is its
// batch.
package importer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/nn"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Options change how a model is brought in.
type Options struct {
	// Head names the head by its node or one of its tensors; empty finds it.
	Head string
}

// Source is a classifier that has been read. It may be used by one goroutine
// at a time.
type Source struct {
	// Name is the file's name without its ending.
	Name string
	// Input is C, H, W of an image as far as the file says, else 0.
	Input [3]int
	// Classes is the width of the head.
	Classes int
	// Metadata are the file's metadata properties.
	Metadata map[string]string

	model        *onnx.ModelProto
	dir          string
	opset        int
	nodes        []*onnx.NodeProto
	tensors      map[string]*tensor
	input        string
	channelsLast bool
	batch        int // of the file, 0 if open
	output       string
	head         head
	traces       map[traceKey]*trace
}

// tensor is a constant of the file.
type tensor struct {
	proto *onnx.TensorProto
	dir   string
	// literal tells the value of a Constant node from an initializer.
	literal bool
}

// Open reads a model file and its external data. Errors are one line that
// names the file and what is the matter with it.
func Open(path string, o Options) (*Source, error) {
	if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Size() > onnx.MaxFile {
		return nil, fmt.Errorf("%s has %d bytes; one ONNX file holds at most 2 GiB: export it with its weights as external data", path, st.Size())
	}
	m, err := onnx.ReadFile(path)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	s, err := Parse(m, strings.TrimSuffix(name, filepath.Ext(name)), filepath.Dir(path), o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Parse is Open for a decoded model; dir is the folder of its external data,
// empty if there is none. The model must not be changed any more.
func Parse(m *onnx.ModelProto, name, dir string, o Options) (*Source, error) {
	s := &Source{Name: name, model: m, dir: dir, tensors: map[string]*tensor{}, traces: map[traceKey]*trace{}, Metadata: map[string]string{}}
	for _, p := range m.GetMetadataProps() {
		s.Metadata[p.GetKey()] = p.GetValue()
	}
	for _, set := range m.GetOpsetImport() {
		if d := set.GetDomain(); d == "" || d == "ai.onnx" {
			s.opset = int(set.GetVersion())
		}
	}
	if s.opset < oldestOpset || s.opset > newestOpset {
		return nil, fmt.Errorf("its operator set is %d; %d to %d can be imported", s.opset, oldestOpset, newestOpset)
	}
	g := m.GetGraph()
	if len(g.GetSparseInitializer()) > 0 {
		return nil, errors.New("it has sparse weights, which cannot be imported")
	}
	for _, t := range g.GetInitializer() {
		s.tensors[t.GetName()] = &tensor{proto: t, dir: dir}
	}
	if err := s.ports(g); err != nil {
		return nil, err
	}
	if err := s.arrange(g, dir); err != nil {
		return nil, err
	}
	if err := s.findHead(o.Head); err != nil {
		return nil, err
	}
	return s, nil
}

// The operator sets whose operators the translation knows.
const (
	oldestOpset = 7
	newestOpset = 23
)

// ports finds the image input and the logits.
func (s *Source) ports(g *onnx.GraphProto) error {
	var names []string
	var image *onnx.ValueInfoProto
	for _, v := range g.GetInput() {
		if s.tensors[v.GetName()] == nil { // old files list their weights too
			names = append(names, v.GetName())
			image = v
		}
	}
	if len(names) != 1 {
		return fmt.Errorf("it has %d inputs (%s); an image classifier has one", len(names), strings.Join(names, ", "))
	}
	s.input = names[0]
	dims := image.GetType().GetTensorType().GetShape().GetDim()
	if len(dims) != 4 {
		return fmt.Errorf("its input %s has %d dimensions; an image classifier takes N×C×H×W", s.input, len(dims))
	}
	switch e := onnx.TensorProto_DataType(image.GetType().GetTensorType().GetElemType()); e {
	case onnx.TensorProto_FLOAT, onnx.TensorProto_FLOAT16, onnx.TensorProto_DOUBLE, onnx.TensorProto_BFLOAT16:
	default:
		return fmt.Errorf("its input %s is of type %s; floating-point images are expected", s.input, e)
	}
	var size [4]int
	for i, d := range dims {
		if v := d.GetDimValue(); v > 0 && v <= maxDim {
			size[i] = int(v)
		}
	}
	channels := func(n int) bool { return n == 1 || n == 3 || n == 4 }
	s.batch = size[0]
	s.Input = [3]int{size[1], size[2], size[3]}
	if channels(size[3]) && !channels(size[1]) {
		s.channelsLast = true
		s.Input = [3]int{size[3], size[1], size[2]}
	}
	names = nil
	for _, v := range g.GetOutput() {
		names = append(names, v.GetName())
	}
	if len(names) != 1 {
		return fmt.Errorf("it has %d outputs (%s) where one is expected: export the logits alone", len(names), strings.Join(names, ", "))
	}
	s.output = names[0]
	return nil
}

// arrange sorts the nodes that the output depends on, takes constants out of
// them, and leaves a final Softmax away.
func (s *Source) arrange(g *onnx.GraphProto, dir string) error {
	producer := map[string]int{}
	nodes := g.GetNode()
	for i, n := range nodes {
		for _, out := range n.GetOutput() {
			if out == "" {
				continue
			}
			if _, taken := producer[out]; taken || s.tensors[out] != nil || out == s.input {
				return fmt.Errorf("value %q is produced twice", out)
			}
			producer[out] = i
		}
	}
	for {
		i, ok := producer[s.output]
		if !ok {
			return fmt.Errorf("nothing computes its output %s", s.output)
		}
		n := nodes[i]
		if op := n.GetOpType(); (op == "Softmax" || op == "LogSoftmax" || op == "Identity" || op == "Cast") && len(n.GetInput()) == 1 {
			if _, inner := producer[n.GetInput()[0]]; inner {
				s.output = n.GetInput()[0]
				continue
			}
		}
		break
	}
	// Depth first from the output, without recursion: files may be deep.
	const waiting, done = 1, 2
	state := make([]int8, len(nodes))
	stack := []int{producer[s.output]}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		if state[i] == done {
			stack = stack[:len(stack)-1]
			continue
		}
		ready := true
		for _, in := range nodes[i].GetInput() {
			p, ok := producer[in]
			if !ok || state[p] == done {
				continue
			}
			if state[p] == waiting && state[i] == waiting {
				return fmt.Errorf("the graph has a cycle through %q", in)
			}
			ready = false
			stack = append(stack, p)
		}
		if !ready {
			state[i] = waiting
			continue
		}
		state[i] = done
		stack = stack[:len(stack)-1]
		s.nodes = append(s.nodes, nodes[i])
	}
	return s.constants(dir)
}

// constants turns Constant nodes, and other names for initializers, into
// tensors.
func (s *Source) constants(dir string) error {
	kept := s.nodes[:0]
	for _, n := range s.nodes {
		if n.GetDomain() != "" && n.GetDomain() != "ai.onnx" {
			return fmt.Errorf("node %s: operator %s of the set %s has no gradient here", nodeName(n), n.GetOpType(), n.GetDomain())
		}
		switch n.GetOpType() {
		case "Constant":
			if len(n.GetOutput()) != 1 {
				return fmt.Errorf("node %s has no output", nodeName(n))
			}
			t, err := constant(n)
			if err != nil {
				return err
			}
			s.tensors[n.GetOutput()[0]] = &tensor{proto: t, dir: dir, literal: true}
			continue
		case "Identity":
			// PyTorch writes equal weights once and names the others so.
			if len(n.GetInput()) == 1 && len(n.GetOutput()) == 1 {
				if t := s.tensors[n.GetInput()[0]]; t != nil {
					s.tensors[n.GetOutput()[0]] = t
					continue
				}
			}
		case "If", "Loop", "Scan", "SequenceMap":
			return fmt.Errorf("node %s: the control-flow operator %s cannot be imported; export the model without it", nodeName(n), n.GetOpType())
		}
		if translations[n.GetOpType()] == nil {
			return fmt.Errorf("node %s: operator %s has no gradient here, so the model cannot be trained", nodeName(n), n.GetOpType())
		}
		kept = append(kept, n)
	}
	s.nodes = kept
	return nil
}

// nodeName names a node for a person.
func nodeName(n *onnx.NodeProto) string {
	if n.GetName() != "" {
		return fmt.Sprintf("%q", n.GetName())
	}
	if len(n.GetOutput()) > 0 {
		return fmt.Sprintf("of value %q", n.GetOutput()[0])
	}
	return "without a name"
}

// constant is the value of a Constant node.
func constant(n *onnx.NodeProto) (*onnx.TensorProto, error) {
	for _, a := range n.GetAttribute() {
		switch a.GetName() {
		case "value":
			if a.GetT() != nil {
				return a.GetT(), nil
			}
		case "value_float":
			return onnx.Floats("", nil, []float32{a.GetF()}), nil
		case "value_floats":
			return onnx.Floats("", []int64{int64(len(a.GetFloats()))}, a.GetFloats()), nil
		case "value_int":
			return onnx.Ints("", nil, []int64{a.GetI()}), nil
		case "value_ints":
			return onnx.Ints("", []int64{int64(len(a.GetInts()))}, a.GetInts()), nil
		}
	}
	return nil, fmt.Errorf("node %s: a constant of another kind than numbers cannot be imported", nodeName(n))
}

// shape returns the dimensions of a constant.
func (t *tensor) shape() ir.Shape {
	s := make(ir.Shape, len(t.proto.GetDims()))
	for i, d := range t.proto.GetDims() {
		s[i] = int(d)
	}
	return s
}

// float reports whether the elements are floating-point numbers.
func (t *tensor) float() bool {
	switch onnx.TensorProto_DataType(t.proto.GetDataType()) {
	case onnx.TensorProto_FLOAT, onnx.TensorProto_DOUBLE, onnx.TensorProto_FLOAT16, onnx.TensorProto_BFLOAT16:
		return true
	}
	return false
}

// Model returns the classifier as a network that Spec.Network takes.
func (s *Source) Model() *models.Model {
	return &models.Model{
		Name:        s.Name,
		Description: "imported from an ONNX file",
		Source:      "ONNX",
		MinInput:    1,
		Check:       func(c models.Config) error { _, err := s.trace(c); return err },
		Forward: func(b *nn.Builder, x *ir.Value, c models.Config) *ir.Value {
			t, err := s.trace(c)
			if err == nil {
				var y *ir.Value
				if y, err = s.walk(b, x, c, &hints{axes: t.axes}); err == nil {
					return y
				}
			}
			panic("importer: " + err.Error()) // Check has seen it pass
		},
	}
}

// Weight is a tensor of the file under the name that the model declares.
type Weight struct {
	Name  string
	Shape []int
	// Fixed says that training from scratch starts from the file's value too:
	// of what is no weight, bias or norm.
	Fixed bool
	from  *tensor
}

// Float32s decodes the elements.
func (w Weight) Float32s() ([]float32, error) { return onnx.FloatData(w.from.proto, w.from.dir) }

// Weights lists the tensors of the file that the model declares for images of
// the given size as parameters or statistics, in order of declaration.
func (s *Source) Weights(c models.Config) ([]Weight, error) {
	t, err := s.trace(c)
	if err != nil {
		return nil, err
	}
	return slices.Clone(t.declared), nil
}

// Encode returns the file with its external data inside.
func (s *Source) Encode() ([]byte, error) {
	g := s.model.GetGraph()
	for i, t := range g.GetInitializer() {
		if t.GetDataLocation() != onnx.TensorProto_EXTERNAL {
			continue
		}
		inner, err := onnx.Internal(t, s.dir)
		if err != nil {
			return nil, err
		}
		g.Initializer[i] = inner
		s.tensors[t.GetName()].proto = inner
	}
	return onnx.Marshal(s.model)
}

type traceKey struct {
	classes int
	input   [3]int
}

// trace is what two trial walks of different batch sizes have found.
type trace struct {
	err      error
	axes     []int
	declared []Weight
}

func (s *Source) trace(c models.Config) (*trace, error) {
	key := traceKey{c.Classes, c.Input}
	if t := s.traces[key]; t != nil {
		return t, t.err
	}
	t := &trace{}
	s.traces[key] = t
	var shapes [2][]ir.Shape
	for i, batch := range []int{2, 3} {
		g := ir.New("trial")
		h := &hints{record: true}
		b := &nn.Builder{G: g, Source: &nn.Collector{G: g}, Training: true}
		x := g.Input("images", ir.F32(batch, c.Input[0], c.Input[1], c.Input[2]))
		if _, t.err = s.walk(b, x, c, h); t.err != nil {
			return t, t.err
		}
		shapes[i], t.declared = h.shapes, h.declared
	}
	for i := range shapes[0] {
		axis := 0
		for j, d := range shapes[0][i] {
			if e := shapes[1][i][j]; d != e {
				if axis != 0 {
					t.err = fmt.Errorf("the batch is in two axes of a value of shape %v: a dynamic shape that cannot be resolved", shapes[0][i])
					return t, t.err
				}
				axis = j + 1
			}
		}
		t.axes = append(t.axes, axis)
	}
	return t, nil
}

// Opset returns the version of the operator set that the file uses.
func (s *Source) Opset() int { return s.opset }

// Nodes returns the number of nodes that the logits depend on, constants left
// out.
func (s *Source) Nodes() int { return len(s.nodes) }

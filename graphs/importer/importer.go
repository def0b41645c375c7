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

// Opset returns the version of the operator set that the file uses.
func (s *Source) Opset() int { return s.opset }

// Nodes returns the number of nodes that the logits depend on, constants left
// out.
func (s *Source) Nodes() int { return len(s.nodes) }

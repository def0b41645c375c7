// Package calibrate measures the ranges of a model's activations on real
// images, from which package deploy quantises it.
package calibrate

import (
	"errors"
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"

	"github.com/ortrain/ortrain/graphs/deploy"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
)

// Images yields batches of calibration images, as the model takes them: n
// images in planes of n×C×H×W values. Every call starts from the first batch.
type Images func() iter.Seq2[[]float32, error]

// Ranges runs a float32 model of one input on the images and returns the range
// of each named value by the method. It runs the images once for MinMax, twice
// for the methods that need a histogram, whose bounds the first run finds.
func Ranges(m *onnx.ModelProto, names []string, images Images, method Method, o runtime.Options) (map[string]deploy.Range, error) {
	r, err := newRunner(m, names, o)
	if err != nil {
		return nil, fmt.Errorf("calibration: %w", err)
	}
	defer r.session.Close()
	seen := make(map[string]*histogram, len(names))
	for _, name := range names {
		seen[name] = newHistogram()
	}
	batches := 0
	err = r.each(images, func(values map[string][]float32) error {
		batches++
		for name, v := range values {
			if err := seen[name].bound(v); err != nil {
				return fmt.Errorf("value %q: %w", name, err)
			}
		}
		return nil
	})
	if err == nil && batches == 0 {
		err = errors.New("there are no images to measure on")
	}
	if err == nil && method.counts {
		for _, h := range seen {
			h.open()
		}
		err = r.each(images, func(values map[string][]float32) error {
			for name, v := range values {
				seen[name].count(v)
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("calibration: %w", err)
	}
	ranges := map[string]deploy.Range{}
	for name, h := range seen {
		low, high := method.choose(h)
		ranges[name] = deploy.Range{Low: float32(low), High: float32(high)}
	}
	return ranges, nil
}

// runner executes a model with inner values as further outputs.
type runner struct {
	session *runtime.Session
	input   runtime.Port
	names   []string
}

func newRunner(m *onnx.ModelProto, names []string, o runtime.Options) (*runner, error) {
	m = proto.Clone(m).(*onnx.ModelProto)
	g := m.GetGraph()
	out := map[string]bool{}
	for _, v := range g.Output {
		out[v.GetName()] = true
	}
	given := ""
	if len(g.Input) == 1 {
		given = g.Input[0].GetName()
	}
	for _, name := range names {
		if !out[name] && name != given {
			out[name] = true
			g.Output = append(g.Output, &onnx.ValueInfoProto{Name: name, Type: &onnx.TypeProto{Value: &onnx.TypeProto_TensorType{
				TensorType: &onnx.TypeProto_Tensor{ElemType: int32(onnx.TensorProto_FLOAT)}}}})
		}
	}
	b, err := onnx.Marshal(m)
	if err != nil {
		return nil, err
	}
	s, err := runtime.NewSessionFromBytes("the model with its activations as outputs", b, o)
	if err != nil {
		return nil, err
	}
	if in := s.Inputs(); len(in) != 1 || len(in[0].Shape) != 4 || in[0].Type != runtime.Float32 {
		s.Close()
		return nil, fmt.Errorf("the model takes %v; one float N×C×H×W is needed", in)
	}
	return &runner{session: s, input: s.Inputs()[0], names: names}, nil
}

// each runs every batch and lends the named values to do.
func (r *runner) each(images Images, do func(map[string][]float32) error) error {
	shape := append([]int64(nil), r.input.Shape...)
	per := int(shape[1] * shape[2] * shape[3])
	for batch, err := range images() {
		if err != nil {
			return err
		}
		shape[0] = int64(len(batch) / per)
		if err := r.run(batch, shape, do); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) run(batch []float32, shape []int64, do func(map[string][]float32) error) error {
	x, err := runtime.WrapTensor(batch, shape...)
	if err != nil {
		return err
	}
	defer x.Close()
	results, err := r.session.Results(map[string]*runtime.Tensor{r.input.Name: x})
	if err != nil {
		return err
	}
	defer func() {
		for _, t := range results {
			t.Close()
		}
	}()
	values := map[string][]float32{}
	for _, name := range r.names {
		if t := results[name]; t != nil {
			values[name] = t.Floats()
		} else {
			values[name] = batch
		}
	}
	return do(values)
}

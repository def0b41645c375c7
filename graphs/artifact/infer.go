package artifact

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/nn"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// network appends the model's forward graph from x to logits.
func (m *Manifest) network(b *nn.Builder, x *ir.Value) (*ir.Value, error) {
	model, err := m.model()
	if err != nil {
		return nil, err
	}
	cfg, err := model.Resolve(models.Config{Classes: m.Model.Classes, Input: m.Model.Input, Options: m.Model.Options})
	if err != nil {
		return nil, err
	}
	return model.Forward(b, x, cfg), nil
}

// eval builds the evaluation graph, whose parameters are inputs.
func (m *Manifest) eval() (*onnx.ModelProto, error) {
	g, err := m.forward()
	if err != nil {
		return nil, err
	}
	return lower.Lower(g, lower.Options{Producer: Producer, Version: Version})
}

// forward builds the inference graph with flat state inputs.
func (m *Manifest) forward() (*ir.Graph, error) {
	g := ir.New(m.Model.Name + "_eval")
	x := m.images(g)
	values, _ := unpack(g, g.Input(Params, ir.F32(m.ParamCount())), m.Parameters)
	if m.StatCount() > 0 {
		stats, _ := unpack(g, g.Input(Stats, ir.F32(m.StatCount())), m.Statistics)
		for name, v := range stats {
			values[name] = v
		}
	}
	return g, m.finishInfer(g, x, values)
}

// images adds the dynamic-batch image input.
func (m *Manifest) images(g *ir.Graph) *ir.Value {
	in := m.Model.Input
	x := g.Input(Images, ir.F32(1, in[0], in[1], in[2]))
	g.DynamicBatch = true
	g.Batched[x] = true
	return x
}

func (m *Manifest) finishInfer(g *ir.Graph, x *ir.Value, values nn.Values) error {
	logits, err := m.network(&nn.Builder{G: g, Source: values}, x)
	if err != nil {
		return err
	}
	g.Batched[logits] = true
	g.Output(Logits, logits)
	return nil
}

// InferModel builds the deployment model: the parameters and statistics become
// initializers under their own names, the images are the only input. params
// and stats are flat vectors in the manifest's layout; metadata becomes the
// model's metadata properties.
func (m *Manifest) InferModel(params, stats []float32, metadata map[string]string) (*onnx.ModelProto, error) {
	if len(params) != m.ParamCount() || len(stats) != m.StatCount() {
		return nil, fmt.Errorf("artifact: state has %d parameters and %d statistics, %s has %d and %d",
			len(params), len(stats), m.Model.Name, m.ParamCount(), m.StatCount())
	}
	g := ir.New(m.Model.Name)
	x := m.images(g)
	values := nn.Values{}
	for _, t := range m.Parameters {
		values[t.Name] = g.Const(t.Name, t.Shape, params[t.Offset:t.Offset+t.Size])
	}
	for _, t := range m.Statistics {
		values[t.Name] = g.Const(t.Name, t.Shape, stats[t.Offset:t.Offset+t.Size])
	}
	if err := m.finishInfer(g, x, values); err != nil {
		return nil, fmt.Errorf("artifact: inference of %s: %w", m.Model.Name, err)
	}
	return lower.Lower(g, lower.Options{Producer: Producer, Version: Version, Metadata: metadata})
}

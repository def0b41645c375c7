package main

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/importer"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/reference"
)

// inFloat64 evaluates the step's graph before it is lowered, with the float64
// reference of every operator: what differs from PyTorch then is wrong.
func (f *figures) inFloat64(source *importer.Source, cfg models.Config, spec artifact.Spec, m *artifact.Manifest, want map[string]array) error {
	s := m.InitialState()
	if err := start(source, cfg, m, s); err != nil {
		return err
	}
	f.parameters = m.ParamCount()
	g, err := artifact.StepGraph(spec)
	if err != nil {
		return err
	}
	vector := func(v []float32) reference.Tensor { return reference.FromFloat32(ir.Shape{len(v)}, v) }
	tensor := func(a array) reference.Tensor { return reference.FromFloat32(ir.Shape(a.shape), a.data) }
	inputs := map[string]reference.Tensor{
		artifact.Images: tensor(want["images"]), artifact.Targets: tensor(want["targets"]), artifact.Params: vector(s.Params),
		"lr": reference.Scalar(1e-3), "momentum": reference.Scalar(0.9), "weight_decay": reference.Scalar(0),
	}
	for i, slot := range m.Slots {
		inputs[slot.Name] = vector(s.Slots[i])
	}
	if m.StatCount() > 0 {
		inputs[artifact.Stats] = vector(s.Stats)
	}
	out, err := reference.Run(g, inputs)
	if err != nil {
		return fmt.Errorf("in float64: %w", err)
	}
	after := &artifact.State{Slots: [][]float32{out[m.Slots[0].Name+artifact.OutSuffix].Float32()}}
	if m.StatCount() > 0 {
		after.Stats = out[artifact.Stats+artifact.OutSuffix].Float32()
	}
	loss := float64(want["loss"].data[0])
	if f.loss = (out[artifact.Loss].Data[0] - loss) / loss; f.loss < 0 {
		f.loss = -f.loss
	}
	f.logits = distance(out[artifact.Logits].Float32(), want["logits"].data, 0)
	return f.gradients(m, after, want)
}

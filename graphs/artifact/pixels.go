package artifact

import (
	"fmt"
	"math"
	"slices"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// Pixels says that step.onnx takes 8-bit images and normalises them itself:
// channel c of a pixel becomes v·Scale[c] + Shift[c], a float32 product and a
// float32 sum. Whoever normalises by the same two roundings beforehand trains
// the same network, bit for bit.
type Pixels struct {
	// Scale is 1/(255·deviation), Shift −mean/deviation, per channel.
	Scale []float32 `json:"scale"`
	Shift []float32 `json:"shift"`
}

// check reports a number of channels that is not the images', or a value that
// no image could be normalised by.
func (p *Pixels) check(channels int) error {
	if p == nil {
		return nil
	}
	if len(p.Scale) != channels || len(p.Shift) != channels {
		return fmt.Errorf("artifact: %d scales and %d shifts normalise images of %d channels; give one of each per channel", len(p.Scale), len(p.Shift), channels)
	}
	for c := range channels {
		if s, d := float64(p.Scale[c]), float64(p.Shift[c]); !(s > 0) || math.IsInf(s, 0) || math.IsNaN(d) || math.IsInf(d, 0) {
			return fmt.Errorf("artifact: channel %d is normalised by scale %v and shift %v; they must be finite, the scale above 0", c, s, d)
		}
	}
	return nil
}

// Before makes a model that takes normalised images, as eval.onnx does, take 8-bit
// ones, which it then normalises as a step does. What follows stays as it is.
func (p *Pixels) Before(m *onnx.ModelProto) error {
	g := m.GetGraph()
	at := slices.IndexFunc(g.GetInput(), func(v *onnx.ValueInfoProto) bool { return v.GetName() == Images })
	if at < 0 {
		return fmt.Errorf("artifact: it has no input %q to normalise", Images)
	}
	t := g.Input[at].GetType().GetTensorType()
	dims := t.GetShape().GetDim()
	if t.GetElemType() != int32(onnx.TensorProto_FLOAT) || len(dims) != 4 {
		return fmt.Errorf("artifact: its input %q is not of float32 N×C×H×W", Images)
	}
	channels := int(dims[1].GetDimValue())
	if err := p.check(channels); err != nil {
		return err
	}
	t.ElemType = int32(onnx.TensorProto_UINT8)
	const cast, scaled, normalised, scale, shift = "pixels", "pixels.scaled", "pixels.normalised", "pixels.scale", "pixels.shift"
	for _, n := range g.Node {
		for i, name := range n.Input {
			if name == Images {
				n.Input[i] = normalised
			}
		}
	}
	node := func(op string, inputs []string, output string, attributes ...*onnx.AttributeProto) *onnx.NodeProto {
		return &onnx.NodeProto{Name: output, OpType: op, Input: inputs, Output: []string{output}, Attribute: attributes}
	}
	g.Node = append([]*onnx.NodeProto{
		node("Cast", []string{Images}, cast, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT))),
		node("Mul", []string{cast, scale}, scaled),
		node("Add", []string{scaled, shift}, normalised),
	}, g.Node...)
	shape := []int64{int64(channels), 1, 1}
	g.Initializer = append(g.Initializer, onnx.Floats(scale, shape, p.Scale), onnx.Floats(shift, shape, p.Shift))
	return nil
}

// stepImages adds the images to the step's graph and returns them normalised.
func (m *Manifest) stepImages(g *ir.Graph) *ir.Value {
	in := m.Model.Input
	t := ir.F32(m.Batch, in[0], in[1], in[2])
	if m.Pixels == nil {
		return g.Input(Images, t)
	}
	t.DType = ir.Uint8
	channels := ir.Shape{in[0], 1, 1}
	x := g.One("pixels", ir.Cast{To: ir.Float32}, g.Input(Images, t))
	x = g.One("pixels.scaled", ir.Binary{F: ir.Mul}, x, g.Const("pixels.scale", channels, m.Pixels.Scale))
	return g.One("pixels.normalised", ir.Binary{F: ir.Add}, x, g.Const("pixels.shift", channels, m.Pixels.Shift))
}

package focal

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/reference"
)

type golden struct {
	Rows, Classes int
	Cases         []struct {
		Form            string
		Gamma, Alpha    float64
		Logits, Targets []float64
		Loss            float64
		Gradient        []float64
	}
}

// TestPyTorch compares the float64 reference, which package primitives holds
// against ONNX Runtime, with PyTorch's values.
func TestPyTorch(t *testing.T) {
	text, err := os.ReadFile("../../../testdata/golden/focal.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	shape := ir.Shape{g.Rows, g.Classes}
	if len(g.Cases) < 8 {
		t.Fatalf("only %d cases", len(g.Cases))
	}
	for _, c := range g.Cases {
		z, targets, one := reference.Tensor{Shape: shape, Data: c.Logits}, reference.Tensor{Shape: shape, Data: c.Targets}, reference.Scalar(1)
		var forward, backward ir.Op = ir.SigmoidFocal{Gamma: c.Gamma, Alpha: c.Alpha}, ir.SigmoidFocalGrad{Gamma: c.Gamma, Alpha: c.Alpha}
		if c.Form == "softmax" {
			forward, backward = ir.SoftmaxFocal{Gamma: c.Gamma}, ir.SoftmaxFocalGrad{Gamma: c.Gamma}
		}
		out, err := reference.Apply(forward, z, targets)
		if err != nil {
			t.Fatal(err)
		}
		if d := math.Abs(out[0].Data[0] - c.Loss); d > 1e-12*math.Abs(c.Loss) {
			t.Errorf("%s, γ %v, α %v: loss %v, PyTorch has %v", c.Form, c.Gamma, c.Alpha, out[0].Data[0], c.Loss)
		}
		in := []reference.Tensor{one, z, targets}
		if c.Form == "softmax" {
			in[1] = out[1]
		}
		if out, err = reference.Apply(backward, in...); err != nil {
			t.Fatal(err)
		}
		for i, want := range c.Gradient {
			if got := out[0].Data[i]; math.Abs(got-want) > 1e-12 {
				t.Errorf("%s, γ %v, α %v: gradient %d is %v, PyTorch has %v", c.Form, c.Gamma, c.Alpha, i, got, want)
			}
		}
	}
}

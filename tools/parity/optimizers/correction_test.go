package optimizers

import (
	"math"
	"testing"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/optimizer"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestBiasCorrection: on ONNX Runtime, in float32, 1 − β^t keeps its digits
// from the first step to the millionth. From empty slots and a gradient of one,
// Adam's step shows both corrections.
func TestBiasCorrection(t *testing.T) {
	ortest.Open(t)
	one := []tensor{{Name: "x", Shape: ir.Shape{1}}}
	c := goldenCase{Rule: "adam", Hyper: map[string]float64{"lr": 1, "beta1": 0, "beta2": 0, "eps": 0, "weight_decay": 0}}
	g, _ := c.update(t, one)
	run, _ := session(t, g)
	for _, b := range [][2]float64{{0.9, 0.999}, {0.5, 0.9999}, {0, 0.99}, {0.9, 0}} {
		b1, b2 := float64(float32(b[0])), float64(float32(b[1]))
		for _, at := range []float64{1, 2, 3, 10, 100, 1000, 1e4, 1e6, 1 << 24} {
			in := map[string]reference.Tensor{}
			for _, v := range g.Inputs {
				in[v.Name] = reference.Scalar(c.Hyper[v.Name])
				if len(v.Shape) == 1 {
					in[v.Name] = reference.Tensor{Shape: ir.Shape{1}, Data: []float64{0}}
				}
			}
			in["grads"].Data[0] = 1
			in["beta1"], in["beta2"] = reference.Scalar(b1), reference.Scalar(b2)
			in[optimizer.Step] = reference.Scalar(at)
			out, err := run(in)
			if err != nil {
				t.Fatal(err)
			}
			want := -(1 - b1) / (1 - math.Pow(b1, at)) * math.Sqrt((1-math.Pow(b2, at))/(1-b2))
			if got := out["params_out"].Data[0]; math.Abs(got/want-1) > 2e-6 {
				t.Errorf("β %v, step %g: moves by %g, want %g", b, at, got, want)
			}
		}
	}
}

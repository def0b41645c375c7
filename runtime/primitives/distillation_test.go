package primitives

import (
	"fmt"
	"math"
	"testing"

	"github.com/ortrain/ortrain/graphs/autodiff"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/nn"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// TestDistillation compares the distillation loss and its gradient, run by ONNX
// Runtime, with the float64 reference, with central differences of both, and
// with the gradient worked out by hand.
func TestDistillation(t *testing.T) {
	ortest.Open(t)
	r := seeded(21)
	for _, c := range []struct {
		n, k                  int
		t, hard, soft         float64
		divergence, bce, same bool
	}{
		{n: 5, k: 10, t: 4, hard: 1, soft: 1},
		{n: 3, k: 17, t: 1, hard: 0.25, soft: 0.75, divergence: true},
		{n: 4, k: 3, t: 0.5, hard: 0, soft: 1, divergence: true},
		{n: 1, k: 2, t: 20, hard: 1, soft: 0},
		{n: 5, k: 10, t: 3, hard: 0.75, soft: 0.25, bce: true},
		{n: 5, k: 10, t: 2, hard: 0, soft: 1, divergence: true, same: true},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			g := ir.New("distillation")
			shape := ir.F32(c.n, c.k)
			z, target, teacher := g.Input("z", shape), g.Input("target", shape), g.Input("teacher", shape)
			var hard *ir.Value
			if c.bce {
				hard = g.One("hard", ir.SigmoidCrossEntropy{}, z, target)
			} else {
				hard = g.One("hard", ir.SoftmaxCrossEntropy{}, z, target)
			}
			loss := nn.Distillation{
				Hard: hard, Student: z, Teacher: teacher, Divergence: c.divergence,
				T: g.Input("t", ir.F32()), HardWeight: g.Input("hard_weight", ir.F32()), SoftWeight: g.Input("soft_weight", ir.F32()),
			}.Loss(g)
			grads, err := autodiff.Gradients(g, loss, nil, []*ir.Value{z})
			if err != nil {
				t.Fatal(err)
			}
			g.Output("loss", loss)
			g.Output("dz", grads[0])
			inputs := map[string]reference.Tensor{
				"z": r.normal(0, 3, c.n, c.k), "teacher": r.normal(0, 5, c.n, c.k), "target": r.between(0, 1, c.n, c.k),
				"t": reference.Scalar(c.t), "hard_weight": reference.Scalar(c.hard), "soft_weight": reference.Scalar(c.soft),
			}
			if c.same {
				inputs["teacher"] = inputs["z"].Clone()
			}
			want, err := reference.Run(g, inputs)
			if err != nil {
				t.Fatal(err)
			}
			if d := reference.Distance(want["dz"], byHand(inputs, c.n, c.k, c.bce)); d > 1e-12 {
				t.Errorf("the reference gradient is %.2g away from the formula", d)
			}
			of := func(run func() (map[string]reference.Tensor, error)) func(reference.Tensor) float64 {
				return func(reference.Tensor) float64 {
					out, err := run()
					if err != nil {
						t.Fatal(err)
					}
					return out["loss"].Data[0]
				}
			}
			exact := reference.Difference(of(func() (map[string]reference.Tensor, error) { return reference.Run(g, inputs) }), inputs["z"], 1e-5)
			s := load(t, g, lower.Options{Provider: "cpu"})
			got, err := s.run(inputs)
			if err != nil {
				t.Fatal(err)
			}
			if c.same {
				if l, d := got["loss"].Data[0], got["dz"]; math.Abs(l) > 1e-6 || math.Abs(d.Data[0]) > 1e-6 {
					t.Errorf("a student that agrees has loss %g, gradient %g", l, d.Data[0])
				}
				return
			}
			for name, w := range want {
				if d := reference.Distance(got[name], w); d > 2e-6 {
					t.Errorf("%s is %.2g away from the reference", name, d)
				}
			}
			if d := reference.Distance(got["dz"], exact); d > 1e-5 {
				t.Errorf("the gradient is %.2g away from central differences", d)
			}
			rough := reference.Difference(of(func() (map[string]reference.Tensor, error) { return s.run(inputs) }), inputs["z"], 0.05)
			if d := reference.Distance(got["dz"], rough); d > 5e-3 {
				t.Errorf("the gradient is %.2g away from ONNX Runtime's own differences", d)
			}
		})
	}
}

// byHand is the gradient of the loss with respect to the student's logits:
// hard_weight·(softmax(z)·Σt − t)/N + soft_weight·T·(softmax(z/T) − softmax(r/T))/N,
// or with the sigmoid's (σ(z) − t)/(N·K) as the first term.
func byHand(in map[string]reference.Tensor, n, k int, bce bool) reference.Tensor {
	softmax := func(row []float64, t float64) []float64 {
		p, sum := make([]float64, k), 0.0
		for j, v := range row {
			p[j] = math.Exp(v / t)
			sum += p[j]
		}
		for j := range p {
			p[j] /= sum
		}
		return p
	}
	temperature, hard, soft := in["t"].Data[0], in["hard_weight"].Data[0], in["soft_weight"].Data[0]
	out := reference.Zeros(ir.Shape{n, k})
	for i := range n {
		z, r, target := in["z"].Data[i*k:(i+1)*k], in["teacher"].Data[i*k:(i+1)*k], in["target"].Data[i*k:(i+1)*k]
		mass := 0.0
		for _, v := range target {
			mass += v
		}
		p, q, s := softmax(z, 1), softmax(r, temperature), softmax(z, temperature)
		for j := range k {
			d := hard * (p[j]*mass - target[j])
			if bce {
				d = hard * (1/(1+math.Exp(-z[j])) - target[j]) / float64(k)
			}
			out.Data[i*k+j] = (d + soft*temperature*(s[j]-q[j])) / float64(n)
		}
	}
	return out
}

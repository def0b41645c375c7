package runtime_test

import (
	"math"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// distiller is a trainer of a tiny network; soft as in artifact.Spec.
func distiller(t *testing.T, batch int, accumulate bool, soft string) *runtime.Trainer {
	t.Helper()
	ortest.Open(t)
	tr := ortest.Trainer(t, artifact.Spec{
		Model: "resnet8", Config: models.Config{Classes: tinyClasses, Input: [3]int{1, 8, 8}},
		Optimizer: "sgd", Batch: batch, Accumulate: accumulate, Seed: 3, Distillation: soft, Gradient: []string{"clip_norm"},
	}, runtime.Options{Threads: 1})
	return tr
}

// gradient takes one step without momentum, in parts, and returns the gradient
// that the rule saw.
func gradient(t *testing.T, tr *runtime.Trainer, in runtime.Inputs, parts int, feed map[string]float32) []float32 {
	t.Helper()
	values := map[string]float32{"lr": 0.1, "momentum": 0, "weight_decay": 0, "clip_norm": 1e6}
	for name, v := range feed {
		values[name] = v
	}
	hyper, err := tr.Hyper(values)
	if err != nil {
		t.Fatal(err)
	}
	cut := func(v []float32, i int) []float32 {
		n := len(v) / parts
		return v[i*n : (i+1)*n]
	}
	for i := range parts {
		part := runtime.Inputs{Images: cut(in.Images, i), Targets: cut(in.Targets, i), Teacher: cut(in.Teacher, i)}
		if _, err := tr.StepInputs(part, hyper, i, parts); err != nil {
			t.Fatal(err)
		}
	}
	return tr.State().Slots[0]
}

func apart(a, b []float32) float64 {
	top, worst := 0., 0.
	for i := range a {
		top = max(top, math.Abs(float64(b[i])))
		worst = max(worst, math.Abs(float64(a[i]-b[i])))
	}
	return worst / top
}

// TestTeacher: the teacher's logits and the three scalars reach the loss, a
// step in parts has the mean of the parts' gradients, and clipping comes after.
func TestTeacher(t *testing.T) {
	rng := newRand(5)
	images, targets, _ := sample(rng, 4)
	in := runtime.Inputs{Images: images, Targets: targets}
	for range 4 * tinyClasses {
		in.Teacher = append(in.Teacher, float32(rng.NormFloat64()*4))
	}
	plain := distiller(t, 4, false, artifact.SoftDivergence)
	hard := gradient(t, plain, in, 1, map[string]float32{"soft_weight": 0})
	soft := gradient(t, distiller(t, 4, false, artifact.SoftDivergence), in, 1, map[string]float32{"hard_weight": 0, "temperature": 2})
	cold := gradient(t, distiller(t, 4, false, artifact.SoftDivergence), in, 1, map[string]float32{"hard_weight": 0, "temperature": 0.5})
	if apart(soft, hard) < 0.01 || apart(cold, soft) < 0.01 {
		t.Error("teacher or temperature change nothing")
	}
	both := gradient(t, distiller(t, 4, false, artifact.SoftCrossEntropy), in, 1,
		map[string]float32{"hard_weight": 0.3, "soft_weight": 0.7, "temperature": 2})
	sum := make([]float32, len(both))
	for i := range sum {
		sum[i] = 0.3*hard[i] + 0.7*soft[i]
	}
	if d := apart(both, sum); d > 1e-5 {
		t.Errorf("the gradient is %.2g away from the weighted sum of its terms", d)
	}

	feed := map[string]float32{"temperature": 2}
	mean := make([]float32, len(both))
	for i := range 2 {
		part := runtime.Inputs{Images: images[i*2*tinySize : (i+1)*2*tinySize],
			Targets: targets[i*2*tinyClasses : (i+1)*2*tinyClasses], Teacher: in.Teacher[i*2*tinyClasses : (i+1)*2*tinyClasses]}
		for j, v := range gradient(t, distiller(t, 2, false, artifact.SoftDivergence), part, 1, feed) {
			mean[j] += v / 2
		}
	}
	if d := apart(gradient(t, distiller(t, 2, true, artifact.SoftDivergence), in, 2, feed), mean); d > 1e-5 {
		t.Errorf("the gradient of two parts is %.2g away from their mean", d)
	}
	norm := 0.0
	for _, v := range gradient(t, distiller(t, 4, false, artifact.SoftDivergence), in, 1, map[string]float32{"clip_norm": 0.01}) {
		norm += float64(v) * float64(v)
	}
	if math.Abs(math.Sqrt(norm)-0.01) > 1e-5 {
		t.Errorf("a clipped gradient has norm %g, want 0.01", math.Sqrt(norm))
	}
}

// TestTeacherRefusals: a step that distils needs the logits, others take none.
func TestTeacherRefusals(t *testing.T) {
	rng := newRand(6)
	images, targets, _ := sample(rng, tinyBatch)
	tr := distiller(t, tinyBatch, false, artifact.SoftDivergence)
	h, err := tr.Hyper(map[string]float32{"lr": 0.1})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][]float32{nil, make([]float32, 5)} {
		_, err := tr.StepInputs(runtime.Inputs{Images: images, Targets: targets, Teacher: r}, h, 0, 1)
		if err == nil || !strings.Contains(err.Error(), "teacher") {
			t.Errorf("%d logits: %v", len(r), err)
		}
	}
	if _, err := trainer(t).StepInputs(runtime.Inputs{Images: images, Targets: targets, Teacher: targets}, hyper(t, trainer(t), 0.1), 0, 1); err == nil || !strings.Contains(err.Error(), "no teacher") {
		t.Errorf("a set without a teacher: %v", err)
	}
	if _, err := artifact.Build(artifact.Spec{Model: "resnet8", Config: models.Config{Classes: 3, Input: [3]int{1, 8, 8}},
		Optimizer: "sgd", Batch: 2, Distillation: "mse"}); err == nil || !strings.Contains(err.Error(), `unknown distillation "mse"`) {
		t.Errorf("an unknown soft term: %v", err)
	}
}

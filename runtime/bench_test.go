package runtime_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// BenchmarkStep is a training step of ResNet-20 on 128 CIFAR images with SGD,
// under the session options that a trainer might want to change.
func BenchmarkStep(b *testing.B) {
	ortest.Open(b)
	const batch, classes = 128, 10
	dir := ortest.Artifacts(b, artifact.Spec{
		Model: "resnet20", Config: models.Config{Classes: classes, Input: [3]int{3, 32, 32}}, Optimizer: "sgd", Batch: batch, Seed: 1})
	rng := newRand(1)
	images, targets := make([]float32, batch*3*32*32), make([]float32, batch*classes)
	for i := range images {
		images[i] = float32(rng.NormFloat64())
	}
	for i := range batch {
		targets[i*classes+rng.IntN(classes)] = 1
	}
	for _, c := range []struct {
		name string
		o    runtime.Options
	}{
		{"default", runtime.Options{}},
		{"spin-after-run", runtime.Options{Config: map[string]string{"session.force_spinning_stop": "0"}}},
		{"spinning", runtime.Options{Spinning: true}},
		{"no-memory-pattern", runtime.Options{NoMemoryPattern: true}},
		{"no-arena", runtime.Options{NoArena: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			tr, err := runtime.NewTrainer(dir, c.o)
			if err != nil {
				b.Fatal(err)
			}
			defer tr.Close()
			h := hyper(b, tr, 0.01)
			for b.Loop() {
				if _, err := tr.Step(images, targets, h); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
}

// BenchmarkStepOverhead is the step of a network so small that what remains
// is the cost of a call.
func BenchmarkStepOverhead(b *testing.B) {
	tr := trainer(b)
	images, targets, _ := sample(newRand(1), tinyBatch)
	h := hyper(b, tr, 0.01)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tr.Step(images, targets, h); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStepsPerRun is a step of ResNet-20 taken by itself and as one of
// eight in a run, in turn, since machines are noisy: it reports the time of a
// step of both and their ratio.
func BenchmarkStepsPerRun(b *testing.B) {
	ortest.Open(b)
	const batch, classes, k = 128, 10, 8
	open := func(loop bool) *runtime.Trainer {
		tr := ortest.Trainer(b, artifact.Spec{
			Model: "resnet20", Config: models.Config{Classes: classes, Input: [3]int{3, 32, 32}}, Optimizer: "sgd",
			Batch: batch, Seed: 1, Loop: loop, Lowering: lower.Options{Block: runtime.ChannelBlock(), Threads: runtime.DefaultThreads()}}, runtime.Options{})
		return tr
	}
	single, many := open(false), open(true)
	in := runtime.Inputs{Images: make([]float32, k*batch*3*32*32), Targets: make([]float32, k*batch*classes)}
	rng := newRand(1)
	for i := range in.Images {
		in.Images[i] = float32(rng.NormFloat64())
	}
	for i := range k * batch {
		in.Targets[i*classes+rng.IntN(classes)] = 1
	}
	h := hyper(b, single, 0.01)
	one := runtime.Inputs{Images: in.Images[:len(in.Images)/k], Targets: in.Targets[:len(in.Targets)/k]}
	var apart, together time.Duration
	for b.Loop() {
		begun := time.Now()
		for range k {
			if _, err := single.StepInputs(one, h, 0, 1); err != nil {
				b.Fatal(err)
			}
		}
		middle := time.Now()
		if _, err := many.StepMany(in, slices.Repeat(h, k), k); err != nil {
			b.Fatal(err)
		}
		apart, together = apart+middle.Sub(begun), together+time.Since(middle)
	}
	steps := float64(k * b.N)
	b.ReportMetric(apart.Seconds()*1000/steps, "ms/step-apart")
	b.ReportMetric(together.Seconds()*1000/steps, "ms/step-together")
	b.ReportMetric(apart.Seconds()/together.Seconds(), "apart/together")
}

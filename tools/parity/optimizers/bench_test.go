package optimizers

import (
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/graphs/optimizer"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// BenchmarkUpdate times the update alone, of all parameters of ResNet-20, on
// two threads.
func BenchmarkUpdate(b *testing.B) {
	ortest.Open(b)
	set, err := artifact.Build(artifact.Spec{
		Model: "resnet20", Batch: 1, Optimizer: "sgd",
		Config: models.Config{Classes: 10, Input: [3]int{3, 32, 32}}, ExcludeNormAndBias: true})
	if err != nil {
		b.Fatal(err)
	}
	var tensors []tensor
	for _, p := range set.Manifest.Parameters {
		tensors = append(tensors, tensor{p.Name, p.Shape, p.Kind})
	}
	hyper := func(hs []optimizer.Hyper, into map[string]float64) {
		for _, h := range hs {
			if h.Name != optimizer.Step {
				into[h.Name] = float64(h.Default)
			}
		}
	}
	run := func(name string, c goldenCase) {
		b.Run(name, func(b *testing.B) {
			rule, _ := optimizer.Lookup(c.Rule)
			options, err := rule.Resolve(nil)
			if err != nil {
				b.Fatal(err)
			}
			c.Exclude, c.Hyper = true, map[string]float64{}
			hyper(rule.HyperFor(options), c.Hyper)
			for _, name := range c.Gradient {
				tr, _ := optimizer.LookupTransform(name)
				hyper(tr.Hyper, c.Hyper)
			}
			g, slots := c.update(b, tensors)
			m, err := lower.Lower(g, lower.Options{})
			if err != nil {
				b.Fatal(err)
			}
			text, err := onnx.Marshal(m)
			if err != nil {
				b.Fatal(err)
			}
			s, err := runtime.NewSessionFromBytes(name, text, runtime.Options{Threads: 2})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			n := int64(size(tensors))
			vector := func() *runtime.Tensor {
				x, err := runtime.NewTensor(n)
				if err != nil {
					b.Fatal(err)
				}
				for i := range x.Floats() {
					x.Floats()[i] = float32(draw("benchmark", i)+1) / 2
				}
				b.Cleanup(x.Close)
				return x
			}
			in, out := map[string]*runtime.Tensor{}, map[string]*runtime.Tensor{"params_out": vector()}
			for _, v := range g.Inputs {
				if len(v.Shape) > 0 {
					in[v.Name] = vector()
					continue
				}
				x := 1.0
				if v.Name != optimizer.Step {
					x = c.Hyper[v.Name]
				}
				if in[v.Name], err = runtime.NewScalar(float32(x)); err != nil {
					b.Fatal(err)
				}
				b.Cleanup(in[v.Name].Close)
			}
			for _, slot := range slots {
				out[slot.Name+"_out"] = vector()
			}
			for b.Loop() {
				if err := s.Run(in, out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(m.GetGraph().Node)), "nodes")
		})
	}
	for _, name := range optimizer.Names() {
		run(name, goldenCase{Rule: name})
	}
	for _, name := range optimizer.Transforms() {
		run("sgd+"+name, goldenCase{Rule: "sgd", Gradient: []string{name}})
	}
}

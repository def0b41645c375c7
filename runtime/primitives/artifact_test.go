package primitives

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/nn"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// parts cuts a flat vector into its tensors by name.
func parts(flat reference.Tensor, layout []artifact.TensorInfo) map[string]reference.Tensor {
	m := map[string]reference.Tensor{}
	for _, t := range layout {
		m[t.Name] = reference.Tensor{Shape: t.Shape, Data: flat.Data[t.Offset : t.Offset+t.Size]}
	}
	return m
}

func vector(data []float32) reference.Tensor {
	return reference.FromFloat32(ir.Shape{len(data)}, data)
}

// TestStep runs step.onnx twice and compares the whole new state with the
// gradients of the reference and PyTorch's rules for SGD and running
// statistics, written out in float64.
func TestStep(t *testing.T) {
	ortest.Open(t)
	const batch, lr, momentum, decay = 16, 0.05, 0.9, 0.01
	config := models.Config{Classes: 10, Input: [3]int{3, 8, 8}, Options: map[string]string{"shortcut": "B"}}
	for layout, o := range variants() {
		for _, nesterov := range []string{"false", "true"} {
			t.Run(fmt.Sprintf("%s/nesterov_%s", layout, nesterov), func(t *testing.T) {
				set, err := artifact.Build(artifact.Spec{
					Model: "resnet8", Config: config, Optimizer: "sgd", OptimizerOptions: map[string]string{"nesterov": nesterov},
					ExcludeNormAndBias: true, Batch: batch, Seed: 3, Lowering: o,
				})
				if err != nil {
					t.Fatal(err)
				}
				m := set.Manifest
				slot := m.Slots[0].Name
				s := open(t, "step", set.Step)
				g, inputs := trainingGraph(t, "resnet8", config, batch)
				initial := m.InitialState()
				state := map[string]reference.Tensor{
					"images": inputs["images"], "targets": inputs["targets"],
					"params": vector(initial.Params), slot: vector(initial.Slots[0]), "stats": vector(initial.Stats),
					"lr": reference.Scalar(lr), "momentum": reference.Scalar(momentum), "weight_decay": reference.Scalar(decay),
				}
				for step := range 2 {
					got, err := s.run(state)
					if err != nil {
						t.Fatal(err)
					}
					for name, v := range parts(state["params"], m.Parameters) {
						inputs[name] = v
					}
					ref, err := reference.Run(g, inputs)
					if err != nil {
						t.Fatal(err)
					}
					params, velocity, stats := state["params"].Clone(), state[slot].Clone(), state["stats"].Clone()
					for _, p := range m.Parameters {
						grad := ref["grad."+p.Name].Data
						for i := range p.Size {
							d := grad[i]
							if p.Decay {
								d += decay * params.Data[p.Offset+i]
							}
							v := momentum*velocity.Data[p.Offset+i] + d
							velocity.Data[p.Offset+i] = v
							if nesterov == "true" {
								v = d + momentum*v
							}
							params.Data[p.Offset+i] -= lr * v
						}
					}
					for _, b := range m.Statistics {
						for i, x := range unbiased(g, b.Name, ref["batch."+b.Name].Data) {
							stats.Data[b.Offset+i] = 0.9*stats.Data[b.Offset+i] + 0.1*x
						}
					}
					check := func(name string, got, want reference.Tensor) {
						if d := reference.Distance(got, want); d > networkTolerance {
							t.Errorf("step %d: %s is %.2g away from the reference", step, name, d)
						}
					}
					check("loss", got["loss"], ref["loss"])
					check("logits", got["logits"], ref["logits"])
					check("stats", got["stats_out"], stats)
					// A tensor at a time, so that a small one counts too.
					for name, want := range parts(params, m.Parameters) {
						check(name, parts(got["params_out"], m.Parameters)[name], want)
					}
					for name, want := range parts(velocity, m.Parameters) {
						check("velocity of "+name, parts(got[slot+"_out"], m.Parameters)[name], want)
					}
					state["params"], state[slot], state["stats"] = got["params_out"], got[slot+"_out"], got["stats_out"]
				}
			})
		}
	}
}

// unbiased scales a batch variance by n/(n−1), n being what it is taken over;
// means stay as they are.
func unbiased(g *ir.Graph, name string, batch []float64) []float64 {
	const suffix = "running_var"
	if len(name) < len(suffix) || name[len(name)-len(suffix):] != suffix {
		return batch
	}
	for _, o := range g.Outputs {
		if o.Name == "batch."+name {
			x := o.Value.Node.In[0].Shape
			n := float64(x[0] * x[2] * x[3])
			out := make([]float64, len(batch))
			for i, v := range batch {
				out[i] = v * n / (n - 1)
			}
			return out
		}
	}
	panic("no batch statistic " + name)
}

// TestInference runs eval.onnx and infer.onnx at several batch sizes against
// the reference of the inference graph.
func TestInference(t *testing.T) {
	ortest.Open(t)
	for _, options := range []map[string]string{nil, {"shortcut": "B"}, {"preact": "true"}} {
		t.Run(fmt.Sprint(options), func(t *testing.T) {
			config := models.Config{Classes: 10, Input: [3]int{3, 9, 11}, Options: options}
			set, err := artifact.Build(artifact.Spec{Model: "resnet8", Config: config, Optimizer: "sgd", Batch: 2, Seed: 3})
			if err != nil {
				t.Fatal(err)
			}
			m, r := set.Manifest, seeded(11)
			params, stats := vector(m.InitialState().Params), r.between(0.3, 2, m.StatCount())
			// Away from where γ = 1, β = 0 hide a mistake.
			for i, e := range r.normal(0, 0.1, m.ParamCount()).Data {
				params.Data[i] = float64(float32(params.Data[i] + e))
			}
			infer, err := m.InferModel(params.Float32(), stats.Float32(), nil)
			if err != nil {
				t.Fatal(err)
			}
			eval, deployed := open(t, "eval", set.Eval), open(t, "infer", infer)
			for _, batch := range []int{1, 2, 5, 17} {
				images := r.normal(0, 1, batch, 3, 9, 11)
				want := inference(t, config, images, parts(params, m.Parameters), parts(stats, m.Statistics))
				got, err := eval.run(map[string]reference.Tensor{"images": images, "params": params, "stats": stats})
				if err != nil {
					t.Fatal(err)
				}
				if d := reference.Distance(got["logits"], want); d > networkTolerance {
					t.Errorf("eval.onnx, batch %d: %.2g away from the reference", batch, d)
				}
				if got, err = deployed.run(map[string]reference.Tensor{"images": images}); err != nil {
					t.Fatal(err)
				}
				if d := reference.Distance(got["logits"], want); d > networkTolerance {
					t.Errorf("infer.onnx, batch %d: %.2g away from the reference", batch, d)
				}
			}
		})
	}
}

// inference evaluates the network in its inference form.
func inference(t *testing.T, c models.Config, images reference.Tensor, params, stats map[string]reference.Tensor) reference.Tensor {
	t.Helper()
	m, _ := models.Lookup("resnet8")
	c, err := m.Resolve(c)
	if err != nil {
		t.Fatal(err)
	}
	g := ir.New("inference")
	x := g.Input("images", ir.F32(images.Shape...))
	g.Output("logits", m.Forward(&nn.Builder{G: g, Source: &nn.Collector{G: g}}, x, c))
	inputs := map[string]reference.Tensor{"images": images}
	for _, from := range []map[string]reference.Tensor{params, stats} {
		for name, v := range from {
			inputs[name] = v
		}
	}
	out, err := reference.Run(g, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return out["logits"]
}

// TestArtifactsAreDeterministic: one specification gives the same bytes.
func TestArtifactsAreDeterministic(t *testing.T) {
	build := func(block int) [][]byte {
		s := artifact.Spec{Model: "resnet20", Config: models.Config{Classes: 10, Input: [3]int{3, 32, 32}}, Optimizer: "sgd", Batch: 16, Seed: 1}
		s.Lowering.Block = block
		s.Lowering.Metadata = map[string]string{"b": "2", "a": "1", "c": "3"}
		set, err := artifact.Build(s)
		if err != nil {
			t.Fatal(err)
		}
		var files [][]byte
		for _, m := range []*onnx.ModelProto{set.Step, set.Eval, set.Infer} {
			checkTidy(t, m)
			b, err := onnx.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, b)
		}
		return files
	}
	for _, block := range []int{0, 8, 16} {
		first := build(block)
		for range 3 {
			for i, b := range build(block) {
				if !bytes.Equal(b, first[i]) {
					t.Fatalf("block %d: file %d differs from one build to the next", block, i)
				}
			}
		}
	}
}

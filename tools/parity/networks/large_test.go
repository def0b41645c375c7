package networks_test

import (
	"flag"
	"strconv"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/reference"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
	"github.com/ortrain/ortrain/tools/internal/measure"
	"github.com/ortrain/ortrain/tools/parity/golden"
)

var (
	long = flag.Bool("long", false, "compare the largest networks with PyTorch (5 minutes, 10 GiB)")
	out  = flag.String("csv", "", "file for what -long finds, such as ../../../testdata/results/large_networks.csv")
)

// TestLargestNetworks compares one step of the survey's largest networks with
// golden_families.py --large: its graph, evaluated in float64 by the reference,
// within what the golden's float32 can tell; and the step as ONNX Runtime runs
// it, which may be off where rounding moves a rectifier's input to its other
// side, within ten times what PyTorch's own float32 is off by.
func TestLargestNetworks(t *testing.T) {
	if !*long {
		t.Skip("takes -long")
	}
	lib := ortest.Open(t)
	rows := [][]string{{"network", "parameters", "gradients_float64", "gradients_float32", "pytorch_float32", "onnxruntime", "pytorch", "cpu"}}
	for _, n := range []struct {
		name    string
		options map[string]string
	}{
		{"resnet110", nil}, {"resnet152", nil}, {"wrn28_10", nil}, {"shake26_2x96d", nil}, {"shake26_2x112d", nil},
		{"pyramidnet110_a270", map[string]string{"shakedrop": "0.5"}}, {"pyramidnet272_a200", map[string]string{"shakedrop": "0.5"}},
		{"amoebanet_b_6_128", map[string]string{"drop_path": "0.2"}},
	} {
		t.Run(n.name, func(t *testing.T) {
			rows = append(rows, append(compareLarge(t, n.name, n.options), lib.Version, torchOf(t), runtime.CPUName()))
		})
	}
	if *out == "" {
		return
	}
	if err := measure.WriteTable(*out, rows); err != nil {
		t.Fatal(err)
	}
}

const largeGolden = "../../../testdata/golden/families_large.safetensors"

// torchOf is the version of PyTorch that made the golden of the networks.
func torchOf(t *testing.T) string {
	g, err := golden.Open(largeGolden, "")
	if err != nil {
		t.Fatal(err)
	}
	return g.Meta("torch")
}

// compareLarge compares a network and returns its row.
func compareLarge(t *testing.T, name string, options map[string]string) []string {
	g, err := golden.Open(largeGolden, name+".")
	if err != nil {
		t.Fatal(err)
	}
	rounded, err := strconv.ParseFloat(g.Meta("rounded"), 64)
	if err != nil {
		t.Fatal(err)
	}
	exact := &family{T: t, g: g, tolerance: 2e-6}
	size, images := exact.number("size"), exact.number("batch")
	spec := artifact.Spec{Model: name, Batch: images, Optimizer: "sgd",
		Config: models.Config{Classes: classes, Input: [3]int{3, size, size}, Options: options}}
	m, err := spec.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	in := exact.inputs(m)
	exact.feed(in, m, 0)
	losses := exact.values("losses")

	graph, err := artifact.StepGraph(spec)
	if err != nil {
		t.Fatal(err)
	}
	wide := map[string]reference.Tensor{}
	for _, v := range graph.Inputs {
		wide[v.Name] = reference.FromFloat32(v.Shape, in[v.Name])
	}
	out, err := reference.Run(graph, wide)
	if err != nil {
		t.Fatal(err)
	}
	exact.within("the loss", out[artifact.Loss].Data, losses, losses[0])
	exact.first(m, in[artifact.Params], out[artifact.Logits].Data, out[m.Slots[0].Name+artifact.OutSuffix].Data)

	f := &family{T: t, g: g, tolerance: max(1e-4, 10*rounded)}
	s := openStep(t, name, options, size, images)
	narrow := s.run(t, in)
	f.within("the loss in float32", widen(narrow[artifact.Loss]), losses, losses[0])
	f.first(m, in[artifact.Params], widen(narrow[artifact.Logits]), widen(narrow[m.Slots[0].Name+artifact.OutSuffix]))
	t.Logf("%d parameters; in float64 off by %.1e (%s); in float32 by %.1e (%s), PyTorch's by %.1e",
		m.ParamCount(), exact.worst, exact.where, f.worst, f.where, rounded)
	e := func(x float64) string { return strconv.FormatFloat(x, 'e', 1, 64) }
	return []string{name, strconv.Itoa(m.ParamCount()), e(exact.worst), e(f.worst), e(rounded)}
}

package job

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
)

func buildSet(t testing.TB, model string, options map[string]string) *artifact.Set {
	t.Helper()
	set, err := artifact.Build(artifact.Spec{
		Model: model, Config: models.Config{Classes: 10, Input: [3]int{3, 32, 32}, Options: options},
		Optimizer: "sgd", Batch: 4, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// buildStep lowers a training step of batch 16 to the plain layout or, with a
// block, to the runtime's blocked one.
func buildStep(t testing.TB, model string, options map[string]string, block int) *onnx.ModelProto {
	t.Helper()
	set, err := artifact.Build(artifact.Spec{
		Model: model, Config: models.Config{Classes: 10, Input: [3]int{3, 32, 32}, Options: options},
		Optimizer: "sgd", Batch: 16, Seed: 1, Lowering: lower.Options{Block: block},
	})
	if err != nil {
		t.Fatal(err)
	}
	return set.Step
}

// TestCostOfOwnGraphs compares the count over the written ONNX file with the
// manifest's, which is taken from the graph before lowering, and asks that no
// shape of a training step stays unknown.
func TestCostOfOwnGraphs(t *testing.T) {
	for _, c := range []struct {
		model   string
		options map[string]string
	}{
		{"resnet8", nil},
		{"resnet20", map[string]string{"shortcut": "B"}},
		{"resnet20", map[string]string{"preact": "true"}},
	} {
		set := buildSet(t, c.model, c.options)
		for name, m := range map[string]*onnx.ModelProto{"eval": set.Eval, "infer": set.Infer} {
			if got := cost(m.GetGraph()); got.FLOPs != set.Manifest.Model.FLOPs || got.Unknown != "" {
				t.Errorf("%s %v %s: %+v, the manifest counts %d", c.model, c.options, name, got, set.Manifest.Model.FLOPs)
			}
		}
		for _, block := range []int{0, 8, 16} {
			step := cost(buildStep(t, c.model, c.options, block).GetGraph())
			if step.Unknown != "" {
				t.Errorf("%s step in blocks of %d: shape of %s unknown", c.model, block, step.Unknown)
			}
			// Forward and two gradients of each layer but the first.
			if least := 16 * 2 * set.Manifest.Model.FLOPs; step.FLOPs < least {
				t.Errorf("%s step in blocks of %d: %d multiply-adds, want at least %d", c.model, block, step.FLOPs, least)
			}
		}
	}
}

// TestResNet20KnownCost: 40.55 M multiply-adds of convolutions (He et al.
// 2015 give 41 M) and 640 of the classifier; 269,722 parameters.
func TestResNet20KnownCost(t *testing.T) {
	set := buildSet(t, "resnet20", nil)
	g := set.Infer.GetGraph()
	if got := cost(g).FLOPs; got != 40550400+640 {
		t.Errorf("%d multiply-adds", got)
	}
	if p, s := countParameters(g); p != 269722 || s != set.Manifest.StatCount() {
		t.Errorf("%d parameters and %d statistics, want 269722 and %d", p, s, set.Manifest.StatCount())
	}
}

func TestInspectFolderAndModel(t *testing.T) {
	dir := t.TempDir()
	set := buildSet(t, "resnet8", nil)
	if err := set.Write(dir); err != nil {
		t.Fatal(err)
	}
	in, err := Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	if in.Kind != "artifacts" || len(in.Models) != 3 || in.Manifest.Hash != set.Manifest.Hash || in.Run != nil {
		t.Errorf("inspection is %+v", in)
	}
	for _, m := range in.Models {
		if m.Parameters != set.Manifest.ParamCount() || m.Statistics != set.Manifest.StatCount() {
			t.Errorf("%s: %d parameters and %d statistics", m.File, m.Parameters, m.Statistics)
		}
		if m.Structure == nil || m.Structure.Operations == 0 || m.Opsets["ai.onnx"] != 21 || !m.Own() {
			t.Errorf("%s: %+v", m.File, m)
		}
	}
	one, err := Inspect(filepath.Join(dir, artifact.InferFile))
	if err != nil {
		t.Fatal(err)
	}
	m := one.Models[0]
	if one.Kind != "model" || len(m.Inputs) != 1 || m.Inputs[0].String() != "images float [N×3×32×32]" || m.Outputs[0].String() != "logits float [N×10]" {
		t.Errorf("ports %v → %v", m.Inputs, m.Outputs)
	}
}

func TestInspectRun(t *testing.T) {
	dir := t.TempDir()
	set := buildSet(t, "resnet8", nil)
	if err := set.Write(filepath.Join(dir, ArtifactsDir)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, CheckpointFile)
	ck := &runtime.Checkpoint{Epoch: 3, Step: 77, BestAccuracy: 0.5, State: set.Manifest.InitialState()}
	if err := runtime.WriteCheckpoint(path, set.Manifest, ck); err != nil {
		t.Fatal(err)
	}
	in, err := Inspect(dir)
	if err != nil || in.Err() != nil {
		t.Fatal(err, in.Err())
	}
	if in.Kind != "run" || in.Run.Epoch != 3 || in.Run.Step != 77 || in.Run.BestAccuracy != 0.5 {
		t.Errorf("run is %+v", in.Run)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b[:len(b)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if in, err = Inspect(dir); err != nil || in.Err() == nil || !strings.Contains(in.Err().Error(), CheckpointFile) {
		t.Errorf("half a checkpoint: %v, %v", err, in.Err())
	}
}

func TestInspectBadInput(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "nothing.onnx"):       "does not exist",
		dir:                                      "neither a run",
		write("empty.onnx", ""):                  "empty",
		write("text.onnx", "not a model at all"): "not an ONNX model",
		write("x.safetensors", "x"):              "inspect its folder",
	} {
		_, err := Inspect(path)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want a line with %q", path, err, want)
		}
	}
}

func TestSliceLength(t *testing.T) {
	const far = 1 << 62
	for _, c := range []struct{ d, start, end, step, want int64 }{
		{5, 0, 5, 1, 5}, {5, 1, 4, 1, 3}, {5, 0, 5, 2, 3}, {5, -2, far, 1, 2}, {5, 3, 1, 1, 0},
		{5, 4, -far, -1, 5}, {5, -1, -far, -2, 3}, {5, 9, -6, -1, 5}, {5, 3, 0, -1, 3},
	} {
		if got := sliceLength(c.d, c.start, c.end, c.step); got != c.want {
			t.Errorf("axis of %d from %d to %d by %d has %d, want %d", c.d, c.start, c.end, c.step, got, c.want)
		}
	}
}

// FuzzCost: whatever decodes as a model is counted without a panic.
func FuzzCost(f *testing.F) {
	node := func(op, in, out string, attrs ...*onnx.AttributeProto) *onnx.NodeProto {
		return &onnx.NodeProto{OpType: op, Input: strings.Fields(in), Output: strings.Fields(out), Attribute: attrs}
	}
	b, err := onnx.Marshal(&onnx.ModelProto{IrVersion: 10, Graph: &onnx.GraphProto{
		Input: []*onnx.ValueInfoProto{onnx.TensorInfo("x", onnx.TensorProto_FLOAT, []int64{-1, 1, 4, 4})},
		Initializer: []*onnx.TensorProto{
			onnx.Floats("w", []int64{1, 1, 1, 1}, []float32{1}), onnx.Ints("i", []int64{2}, []int64{1, -1}),
		},
		Node: []*onnx.NodeProto{
			node("Conv", "x w", "y", onnx.AttrInts("pads", 1, 1, 1, 1), onnx.AttrInts("strides", 2, 2)),
			node("ConvTranspose", "y w", "z"), node("Slice", "z i i i i", "s"), node("Split", "s i", "a b"),
			node("Reshape", "a i", "r"), node("Gemm", "r r", "g", onnx.AttrInt("transB", 1)), node("Pad", "g i", "p"),
			node("ReduceSum", "p i", "q"), node("Transpose", "q", "t"), node("Concat", "t t", "c", onnx.AttrInt("axis", -1)),
			node("MaxPool", "x", "m", onnx.AttrInts("kernel_shape", 2, 2)), node("Flatten", "m", "o"),
		},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := onnx.Unmarshal(b)
		if err != nil {
			return
		}
		cost(m.GetGraph())
		countParameters(m.GetGraph())
	})
}

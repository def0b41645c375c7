package kernels_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/kernels"
	"github.com/ortrain/ortrain/graphs/lower"
	"github.com/ortrain/ortrain/graphs/models"
	"github.com/ortrain/ortrain/graphs/onnx"
)

// TestStepsStayOnTheDevice: of a step lowered for CUDA every node has a kernel,
// with nothing on the CPU but constants. What is lowered for the CPU would not
// even load.
func TestStepsStayOnTheDevice(t *testing.T) {
	for _, c := range []struct {
		spec artifact.Spec
		side int
	}{
		{artifact.Spec{Model: "resnet20", Optimizer: "sgd"}, 32},
		{artifact.Spec{Model: "resnet18", Optimizer: "sgd", Gradient: []string{"clip_norm"}}, 32},
		{artifact.Spec{Model: "resnet18", Optimizer: "adamw", Distillation: artifact.SoftCrossEntropy,
			Config: models.Config{Options: map[string]string{"preact": "true", "se": "true", "dropout": "0.1"}}}, 32},
		{artifact.Spec{Model: "resnet50", Optimizer: "lars", Accumulate: true}, 224},
		{artifact.Spec{Model: "resnet50", Optimizer: "lamb", Loss: "bce", Config: models.Config{Options: map[string]string{"variant": "D", "stochastic_depth": "0.1"}}}, 64},
		{artifact.Spec{Model: "resnet50", Optimizer: "sgd", Loop: true, Average: true,
			Pixels: &artifact.Pixels{Scale: []float32{1, 1, 1}, Shift: []float32{0, 0, 0}}}, 64},
		{artifact.Spec{Model: "wrn16_4", Optimizer: "sgd", Loop: true, Guard: true}, 32},
		{artifact.Spec{Model: "resnext29_4x64d", Optimizer: "muon"}, 32},
		{artifact.Spec{Model: "wrn28_10", Optimizer: "adabound", Loss: "focal", Focal: artifact.Focal{Gamma: 2, Alpha: -1}}, 32},
		{artifact.Spec{Model: "shake26_2x32d", Optimizer: "sgd"}, 32},
		{artifact.Spec{Model: "pyramidnet20_a24", Optimizer: "lion", Config: models.Config{Options: map[string]string{"shakedrop": "0.5"}}}, 32},
		{artifact.Spec{Model: "amoebanet_b_1_16", Optimizer: "rmsprop", Gradient: []string{"agc"}}, 32},
	} {
		c.spec.Config.Classes, c.spec.Config.Input = 10, [3]int{3, c.side, c.side}
		c.spec.Batch, c.spec.Lowering.Provider = 8, lower.CUDA
		name := fmt.Sprintf("%s_%s_%s", c.spec.Model, c.spec.Optimizer, c.spec.Loss)
		t.Run(name, func(t *testing.T) { staysOnTheDevice(t, c.spec) })
		c.spec.Precision = &artifact.Mixed{LossScale: 1024, Dynamic: true, GrowthInterval: 100}
		t.Run(name+"_mixed", func(t *testing.T) { staysOnTheDevice(t, c.spec) })
		c.spec.Lowering.Kernels = true
		t.Run(name+"_mixed_kernels", func(t *testing.T) { staysOnTheDevice(t, c.spec) })
	}
	set, err := artifact.Build(artifact.Spec{
		Model: "resnet20", Config: models.Config{Classes: 10, Input: [3]int{3, 32, 32}}, Optimizer: "sgd", Batch: 8,
		Lowering: lower.Options{Block: 16},
	})
	if err != nil {
		t.Fatal(err)
	}
	unwanted := kernels.CUDA().Place(set.Step).Unwanted()
	for _, want := range []string{"com.microsoft.nchwc:Conv", "com.microsoft.nchwc:ReorderInput"} {
		if !has(unwanted, want, "no kernel of this operator") {
			t.Errorf("%s of the CPU's step is not among the %d unwanted nodes", want, len(unwanted))
		}
	}
}

func staysOnTheDevice(t *testing.T, spec artifact.Spec) {
	t.Helper()
	set, err := artifact.Build(spec)
	if err != nil {
		t.Fatal(err)
	}
	if spec.Lowering.Kernels {
		if set.Manifest.Kernels != lower.CUDAKernelVersion {
			t.Errorf("the manifest asks for kernels of version %d", set.Manifest.Kernels)
		}
		if u := kernels.CUDA().Place(set.Step).Unwanted(); !has(u, "ai.ortrain:", "no kernel of this operator") {
			t.Error("the kernel library's operators are taken for ONNX Runtime's own")
		}
	}
	for name, m := range map[string]*onnx.ModelProto{"step": set.Step, "eval": set.Eval, "infer": set.Infer} {
		list := kernels.CUDA()
		if spec.Lowering.Kernels {
			list = list.With(lower.KernelDomain)
		}
		r := list.Place(m)
		for _, p := range r.Unwanted() {
			t.Errorf("%s: %s (%s): %s", name, p.Node, p.Operator, p.Reason)
		}
		for _, p := range r.Elsewhere {
			if p.ByDesign && !strings.HasPrefix(p.Reason, "a constant") {
				t.Errorf("%s: %s (%s) is on the CPU: %s", name, p.Node, p.Operator, p.Reason)
			}
		}
		if r.Nodes != r.Served+len(r.Elsewhere) || r.Served < r.Nodes*9/10 {
			t.Errorf("%s: %d of %d nodes are served, %d are not", name, r.Served, r.Nodes, len(r.Elsewhere))
		}
	}
}

func has(ps []kernels.Placement, operator, reason string) bool {
	for _, p := range ps {
		if strings.HasPrefix(p.Operator, operator) && strings.Contains(p.Reason, reason) {
			return true
		}
	}
	return false
}

// model wraps nodes on inputs x (float32 of four dimensions), n (int64), s (int64, one dimension).
func model(opset int64, nodes ...*onnx.NodeProto) *onnx.ModelProto {
	g := &onnx.GraphProto{Node: nodes, Input: []*onnx.ValueInfoProto{
		onnx.TensorInfo("x", onnx.TensorProto_FLOAT, []int64{1, 2, 8, 8}), onnx.TensorInfo("n", onnx.TensorProto_INT64, []int64{1, 2, 8, 8}),
		onnx.TensorInfo("d", onnx.TensorProto_DOUBLE, []int64{1, 2, 8, 8}),
	}, Initializer: []*onnx.TensorProto{onnx.Ints("two", []int64{1}, []int64{2}), onnx.Floats("w", []int64{2, 2, 3, 3}, make([]float32, 36))}}
	return &onnx.ModelProto{Graph: g, OpsetImport: []*onnx.OperatorSetIdProto{{Version: opset}, {Domain: "com.microsoft", Version: 1}}}
}

func node(op string, in []string, out []string, attrs ...*onnx.AttributeProto) *onnx.NodeProto {
	domain := ""
	if d, name, ok := strings.Cut(op, ":"); ok {
		domain, op = d, name
	}
	return &onnx.NodeProto{Name: "the " + op, OpType: op, Domain: domain, Input: in, Output: out, Attribute: attrs}
}

// TestReasons: known answers for single nodes; ONNX Runtime 1.30 puts those that
// are valid models where these say (tools/kernels-list/placement.sh).
func TestReasons(t *testing.T) {
	x := []string{"x"}
	for name, c := range map[string]struct {
		opset int64
		nodes []*onnx.NodeProto
		says  string // of the last node; empty: it is served
	}{
		"served":               {21, []*onnx.NodeProto{node("Relu", x, []string{"y"})}, ""},
		"double":               {21, []*onnx.NodeProto{node("Conv", []string{"d", "w"}, []string{"y"})}, ""},
		"type":                 {21, []*onnx.NodeProto{node("Sigmoid", []string{"n"}, []string{"y"})}, "no kernel for input 0 of type i64"},
		"type is passed on":    {21, []*onnx.NodeProto{node("Cast", x, []string{"c"}, onnx.AttrInt("to", int64(onnx.TensorProto_INT64))), node("Neg", []string{"c"}, []string{"e"}), node("Sigmoid", []string{"e"}, []string{"y"})}, "no kernel for input 0 of type i64"},
		"comparison is bool":   {21, []*onnx.NodeProto{node("Greater", []string{"x", "x"}, []string{"b"}), node("Sigmoid", []string{"b"}, []string{"y"})}, "type bool"},
		"operator":             {21, []*onnx.NodeProto{node("Asinh", x, []string{"y"})}, "no kernel of this operator"},
		"version":              {22, []*onnx.NodeProto{node("MaxPool", x, []string{"y"}, onnx.AttrInts("kernel_shape", 2, 2))}, "no kernel of its version 22"},
		"version before":       {21, []*onnx.NodeProto{node("MaxPool", x, []string{"y"}, onnx.AttrInts("kernel_shape", 2, 2))}, ""},
		"training mode":        {21, []*onnx.NodeProto{node("BatchNormalization", []string{"x", "s", "s", "s", "s"}, []string{"y", "m", "v"}, onnx.AttrInt("training_mode", 1))}, "training mode"},
		"no activation":        {21, []*onnx.NodeProto{node("com.microsoft:FusedConv", []string{"x", "w"}, []string{"y"})}, "without an activation"},
		"unequal padding":      {21, []*onnx.NodeProto{node("ConvTranspose", []string{"x", "w"}, []string{"y"}, onnx.AttrInts("pads", 0, 0, 1, 1))}, "unequal padding"},
		"equal padding":        {21, []*onnx.NodeProto{node("ConvTranspose", []string{"x", "w"}, []string{"y"}, onnx.AttrInts("pads", 1, 0, 1, 0))}, ""},
		"constant":             {21, []*onnx.NodeProto{node("Asinh", []string{"w"}, []string{"y"})}, "a constant"},
		"shape":                {21, []*onnx.NodeProto{node("Shape", x, []string{"s"}), node("Mul", []string{"s", "two"}, []string{"y"})}, "arithmetic of shapes"},
		"shape itself":         {21, []*onnx.NodeProto{node("Shape", x, []string{"y"})}, ""},
		"unknown domain":       {21, []*onnx.NodeProto{node("ai.ortrain:Norm", x, []string{"y"})}, "no kernel of this operator"},
		"microsoft's operator": {21, []*onnx.NodeProto{node("com.microsoft:FusedMatMul", []string{"x", "x"}, []string{"y"}, onnx.AttrInt("transB", 1))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := kernels.CUDA().Place(model(c.opset, c.nodes...))
			said := ""
			last := "the " + c.nodes[len(c.nodes)-1].OpType
			for _, p := range r.Elsewhere {
				if p.Node == last {
					said = p.Reason
				}
			}
			if (said == "") != (c.says == "") || !strings.Contains(said, c.says) {
				t.Errorf("it says %q, want %q", said, c.says)
			}
		})
	}
}

// TestUnknownInput: the result of a kernel that serves several types is not that
// of the first one where an input of unknown type would go with it and another
// would not.
func TestUnknownInput(t *testing.T) {
	half := func(to string) *onnx.NodeProto {
		return node("Cast", []string{"w"}, []string{to}, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT16)))
	}
	m := model(21, node("theirs:Map", []string{"x"}, []string{"u"}), half("a"), half("b"), half("m"), half("v"),
		node("BatchNormalization", []string{"u", "a", "b", "m", "v"}, []string{"y"}), node("Cast", []string{"y"}, []string{"z"}, onnx.AttrInt("to", 1)))
	if r := kernels.CUDA().With("theirs").Place(m); len(r.Unwanted()) > 0 {
		t.Errorf("%+v", r.Unwanted())
	}
}

// TestSubgraphs: the body of a loop counts too.
func TestSubgraphs(t *testing.T) {
	body := &onnx.GraphProto{
		Input: []*onnx.ValueInfoProto{onnx.TensorInfo("i", onnx.TensorProto_INT64, nil), onnx.TensorInfo("go", onnx.TensorProto_BOOL, nil)},
		Node:  []*onnx.NodeProto{node("Asinh", []string{"x"}, []string{"inner"})},
	}
	loop := node("Loop", []string{"trips", ""}, []string{"y"})
	loop.Attribute = []*onnx.AttributeProto{{Name: "body", Type: onnx.AttributeProto_GRAPH, G: body}}
	r := kernels.CUDA().Place(model(21, loop))
	if r.Nodes != 2 || r.Served != 1 || !has(r.Unwanted(), "Asinh", "no kernel") {
		t.Errorf("%+v", r)
	}
}

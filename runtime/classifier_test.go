package runtime_test

import (
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// plane is a classifier of 1×2×2 images into three classes: logits are the
// first three pixels.
func plane(batch int64, metadata map[string]string) ortest.Graph {
	return ortest.Graph{
		Inputs:  []*onnx.ValueInfoProto{ortest.Floats("pixels", batch, 1, 2, 2)},
		Outputs: []*onnx.ValueInfoProto{ortest.Floats("scores", batch, 3)},
		Nodes: []*onnx.NodeProto{
			ortest.Node("Flatten", []string{"pixels"}, []string{"flat"}),
			ortest.Node("MatMul", []string{"flat", "w"}, []string{"scores"}),
		},
		Initializers: []*onnx.TensorProto{onnx.Floats("w", []int64{4, 3}, []float32{1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0})},
		Metadata:     metadata,
	}
}

func classifier(t testing.TB, g ortest.Graph) *runtime.Classifier {
	t.Helper()
	ortest.Open(t)
	c, err := runtime.NewClassifierFromBytes(t.Name(), g.Bytes(t), runtime.ModelInfo{}, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestClassifierBatches(t *testing.T) {
	images := []float32{
		1, 2, 3, 9,
		4, 5, 6, 9,
		9, 8, 7, 9,
		0, 1, 0, 9,
		2, 0, 1, 9,
	}
	want := []float32{1, 2, 3, 4, 5, 6, 9, 8, 7, 0, 1, 0, 2, 0, 1}
	for _, batch := range []int64{-1, 1, 2, 5, 8} {
		c := classifier(t, plane(batch, nil))
		if c.Image() != [3]int{1, 2, 2} || c.Classes() != 3 || c.Batch() != int(max(0, batch)) {
			t.Errorf("batch %d: %v images, %d classes, batch %d", batch, c.Image(), c.Classes(), c.Batch())
		}
		for n := 1; n <= 5; n++ {
			got, err := c.Logits(images[:4*n], n)
			if err != nil || !slices.Equal(got, want[:3*n]) {
				t.Errorf("batch %d, %d images: %v, %v", batch, n, got, err)
			}
		}
		s, err := c.Evaluate(all([]runtime.Batch{{Images: images[:8], Labels: []int{2, 0}}, {Images: images[8:], Labels: []int{0, 1, 0}}}))
		if err != nil || s.Samples != 5 || s.Top1 != 4 {
			t.Errorf("batch %d: %+v, %v", batch, s, err)
		}
		if _, err := c.Logits(images, 4); err == nil || !strings.Contains(err.Error(), "20 values given for 4 images of 1×2×2, which have 16") {
			t.Errorf("batch %d: %v", batch, err)
		}
		if _, err := c.Logits(nil, 0); err == nil {
			t.Error("no images passed")
		}
	}
}

func TestClassifierIsConcurrent(t *testing.T) {
	for _, batch := range []int64{-1, 3} {
		c := classifier(t, plane(batch, nil))
		var wait sync.WaitGroup
		for g := range 8 {
			wait.Go(func() {
				for range 50 {
					images := make([]float32, 4*(g+1))
					for i := range images {
						images[i] = float32(g)
					}
					got, err := c.Logits(images, g+1)
					if err != nil || len(got) != 3*(g+1) || got[len(got)-1] != float32(g) {
						t.Errorf("goroutine %d: %v, %v", g, got, err)
						return
					}
				}
			})
		}
		wait.Wait()
	}
}

func TestClassifierMetadata(t *testing.T) {
	info := runtime.ModelInfo{ClassNames: []string{"cat", "dog", "<ü>, etc."}, Mean: []float32{0.1307}, Std: []float32{0.3081}, InputSize: [3]int{1, 2, 2}}
	g := plane(-1, info.Metadata())
	// A model that leaves everything open but the number of channels.
	g.Inputs[0] = ortest.Floats("pixels", -1, 1, -1, -1)
	g.Outputs[0] = ortest.Floats("scores", -1, -1)
	c := classifier(t, g)
	if c.Image() != [3]int{1, 2, 2} || c.Classes() != 3 || c.Batch() != 0 {
		t.Errorf("%v images, %d classes, batch %d", c.Image(), c.Classes(), c.Batch())
	}
	if !reflect.DeepEqual(c.Info(), info) {
		t.Errorf("info %+v", c.Info())
	}
	if c.Input().Name != "pixels" || c.Output().Name != "scores" || len(c.Metadata()) != 4 {
		t.Errorf("%v %v %v", c.Input(), c.Output(), c.Metadata())
	}
	empty, err := runtime.ParseModelInfo(runtime.ModelInfo{}.Metadata())
	if err != nil || !reflect.DeepEqual(empty, runtime.ModelInfo{}) {
		t.Errorf("nothing came back as %+v, %v", empty, err)
	}
}

func TestClassifierRefuses(t *testing.T) {
	ortest.Open(t)
	change := func(f func(*ortest.Graph)) ortest.Graph {
		g := plane(-1, nil)
		f(&g)
		return g
	}
	meta := func(key, value string) ortest.Graph { return plane(-1, map[string]string{key: value}) }
	for name, c := range map[string]struct {
		g    ortest.Graph
		says string
	}{
		"two inputs": {affine, "it has 2 inputs and 1 outputs"},
		"flat input": {change(func(g *ortest.Graph) {
			g.Inputs[0] = ortest.Floats("pixels", -1, 4)
			g.Nodes[0] = ortest.Node("Identity", []string{"pixels"}, []string{"flat"})
		}), "not an image classifier: its input is pixels float[N,4]"},
		"an image out": {change(func(g *ortest.Graph) {
			g.Outputs[0] = ortest.Floats("same", -1, 1, 2, 2)
			g.Nodes = []*onnx.NodeProto{ortest.Node("Relu", []string{"pixels"}, []string{"same"})}
		}), "not an image classifier: its output is same"},
		"open size":    {change(func(g *ortest.Graph) { g.Inputs[0] = ortest.Floats("pixels", -1, -1, -1, -1) }), "leaves the image size open"},
		"names":        {meta(runtime.MetaClassNames, `["a","b"]`), "2 class names are given; its output has 3"},
		"broken names": {meta(runtime.MetaClassNames, "a, b, c"), `class_names: "a, b, c" is not the JSON list`},
		"half a norm":  {meta(runtime.MetaMean, "[0.5]"), "mean has 1 channels and std has 0"},
		"channels": {plane(-1, runtime.ModelInfo{Mean: []float32{0, 0, 0}, Std: []float32{1, 1, 1}}.Metadata()),
			"a mean of 3 channels is given; its input has 1"},
		"zero std": {plane(-1, map[string]string{runtime.MetaMean: "[0]", runtime.MetaStd: "[0]"}), "std: 0 is not positive"},
	} {
		x, err := runtime.NewClassifierFromBytes("model.onnx", c.g.Bytes(t), runtime.ModelInfo{}, runtime.Options{})
		if err == nil {
			x.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "model.onnx: ") {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
	}
	if _, err := runtime.NewClassifier(filepath.Join(t.TempDir(), "none.onnx"), runtime.Options{}); err == nil {
		t.Error("a missing file was opened")
	}
}

// TestDeclaredClassifier: the caller completes what the file does not say, and
// corrects what it says.
func TestDeclaredClassifier(t *testing.T) {
	ortest.Open(t)
	open := plane(-1, nil)
	open.Inputs[0] = ortest.Floats("pixels", -1, 1, -1, -1)
	load := func(g ortest.Graph, declared runtime.ModelInfo) (runtime.ModelInfo, [3]int, error) {
		c, err := runtime.NewClassifierFromBytes("model.onnx", g.Bytes(t), declared, runtime.Options{Threads: 1})
		if err != nil {
			return runtime.ModelInfo{}, [3]int{}, err
		}
		defer c.Close()
		return c.Info(), c.Image(), nil
	}
	var undeclared *runtime.UndeclaredError
	if _, _, err := load(open, runtime.ModelInfo{}); !errors.As(err, &undeclared) || !slices.Equal(undeclared.Keys, []string{runtime.MetaInputSize}) {
		t.Errorf("an open size: %v", err)
	}
	size := [3]int{1, 2, 2}
	if _, got, err := load(open, runtime.ModelInfo{InputSize: size}); err != nil || got != size {
		t.Errorf("a declared size: %v, %v", got, err)
	}
	in := runtime.ModelInfo{ClassNames: []string{"a", "b", "c"}, Mean: []float32{0.5}, Std: []float32{0.25}, InputSize: size}
	over := runtime.ModelInfo{ClassNames: []string{"x", "y", "z"}}
	want := in
	want.ClassNames = over.ClassNames
	if got, _, err := load(plane(-1, in.Metadata()), over); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("other names: %+v, %v", got, err)
	}
	for says, declared := range map[string]runtime.ModelInfo{
		"2 class names are given; its output has 3":                      {ClassNames: []string{"a", "b"}},
		"std: -1 is not positive":                                        {Mean: []float32{0}, Std: []float32{-1}},
		"images of 3×2×2 are declared; its input is pixels float[N,1,2,": {InputSize: [3]int{3, 2, 2}},
	} {
		if _, _, err := load(plane(-1, nil), declared); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
	}
}

// TestInferMatchesEval runs the deployment model of an artifact set beside
// its evaluation graph.
func TestInferMatchesEval(t *testing.T) {
	dir := tiny(t)
	tr := trainer(t)
	c, err := runtime.NewClassifier(filepath.Join(dir, artifact.InferFile), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	e, err := runtime.NewEvaluator(dir, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	images, _, labels := sample(newRand(2), 10)
	batches := []runtime.Batch{{Images: images, Labels: labels}}
	a, err := c.Evaluate(all(batches))
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Evaluate(tr.View(), all(batches))
	if err != nil {
		t.Fatal(err)
	}
	if a.Top1 != b.Top1 || math.Abs(a.Loss-b.Loss) > 1e-4*b.Loss {
		t.Errorf("infer %+v, eval %+v", a, b)
	}
}

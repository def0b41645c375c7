package runtime_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// What is done for a device is done here on the CPU (OnDevice), which computes
// the same.

// TestEvaluationOnDevice: with its state bound once and its last batch filled up,
// an evaluation finds what it finds otherwise, also in several goroutines, and
// with another state afterwards.
func TestEvaluationOnDevice(t *testing.T) {
	tr := trainer(t)
	plain, err := runtime.NewEvaluator(tiny(t), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	device, err := runtime.NewEvaluator(tiny(t), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	device.OnDevice()
	rng := newRand(5)
	images, _, labels := sample(rng, 23)
	var batches []runtime.Batch
	for _, part := range [][2]int{{0, 10}, {10, 20}, {20, 23}} { // the last is shorter
		batches = append(batches, runtime.Batch{Images: images[part[0]*tinySize : part[1]*tinySize], Labels: labels[part[0]:part[1]]})
	}
	for range 3 {
		step(t, tr, rng, 0.1)
		want, err := plain.Evaluate(tr.View(), all(batches))
		if err != nil {
			t.Fatal(err)
		}
		failed := make(chan error, 4)
		for range cap(failed) {
			go func() {
				got, err := device.Evaluate(tr.View(), all(batches))
				if err == nil && (got.Samples != 23 || got.Top1 != want.Top1 || math.Abs(got.Loss-want.Loss) > 1e-5*want.Loss) {
					t.Errorf("%+v, want %+v", got, want)
				}
				failed <- err
			}()
		}
		for range cap(failed) {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
		a, err := plain.Logits(t.Context(), tr.View(), batches[0], 10)
		if err != nil {
			t.Fatal(err)
		}
		b, err := device.Logits(t.Context(), tr.View(), batches[0], 10)
		if err != nil || !slices.Equal(a, b) {
			t.Errorf("bound inputs change the logits: %v", err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := device.Logits(cancelled, tr.View(), batches[0], 10); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := device.Logits(t.Context(), tr.View(), runtime.Batch{Bytes: make([]uint8, tinySize)}, 1); err == nil || !strings.Contains(err.Error(), "the tensor is of type uint8, the model wants float") {
		t.Errorf("8-bit images: %v", err)
	}
	device.Close()
	if _, err := device.Logits(t.Context(), tr.View(), batches[0], 10); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
}

// numbering is a classifier of three classes that answers with the number of images
// of the run, beside the mean of each channel.
func numbering(t *testing.T, side int64) string {
	t.Helper()
	g := ortest.Graph{
		Inputs:  []*onnx.ValueInfoProto{ortest.Floats("images", -1, 3, side, side)},
		Outputs: []*onnx.ValueInfoProto{ortest.Floats("logits", -1, 3)},
		Nodes: []*onnx.NodeProto{
			ortest.Node("Shape", []string{"images"}, []string{"shape"}, onnx.AttrInt("end", 1)),
			ortest.Node("Cast", []string{"shape"}, []string{"n"}, onnx.AttrInt("to", int64(onnx.TensorProto_FLOAT))),
			ortest.Node("ReduceMean", []string{"images"}, []string{"means"}, onnx.AttrInts("axes", 2, 3), onnx.AttrInt("keepdims", 0)),
			ortest.Node("Add", []string{"means", "n"}, []string{"logits"}),
		},
	}
	path := filepath.Join(t.TempDir(), "numbering.onnx")
	if err := os.WriteFile(path, g.Bytes(t), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRunsOfOneNumber: on a device every run of a model is of as many images, on
// the CPU of as many as are given.
func TestRunsOfOneNumber(t *testing.T) {
	ortest.Open(t)
	const side = 2
	images := make([]float32, 7*3*side*side)
	counted := func(c *runtime.Classifier, n int) int {
		t.Helper()
		out, err := c.Logits(images[:n*3*side*side], n)
		if err != nil || len(out) != 3*n {
			t.Fatalf("%d logits of %d images: %v", len(out), n, err)
		}
		return int(out[0])
	}
	for _, device := range []bool{false, true} {
		c, err := runtime.NewClassifier(numbering(t, side), runtime.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		want := []int{1, 7, 4, 3}
		if device {
			c.OnDevice()
			want = []int{4, 4, 4, 4}
		}
		if n := counted(c, 5); n != 5 {
			t.Errorf("unasked, 5 images are run as %d", n)
		}
		c.PadTo(4)
		if got := []int{counted(c, 1), counted(c, 7), counted(c, 4), counted(c, 3)}; !slices.Equal(got, want) {
			t.Errorf("device %v: runs of %v images, want %v", device, got, want)
		}
		if c.Batch() != 0 {
			t.Errorf("the model is said to be fixed to %d images", c.Batch())
		}
	}
}

// TestTeacherRunsOfOneNumber: a batch that a teacher takes in parts leaves it no
// shorter one on a device.
func TestTeacherRunsOfOneNumber(t *testing.T) {
	ortest.Open(t)
	const side, n = 400, 12 // 10 images are as many as it takes at once
	spec := runtime.TeacherSpec{File: numbering(t, side), Values: "logits", Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}}
	k, err := runtime.NewTeacher(spec, plainStudent(3, side, side, 3), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	images := make([]float32, n*3*side*side)
	for i := range images {
		images[i] = 0.25
	}
	last := func() float32 { return answer(t, k, 3, n, images)[3*(n-1)] }
	if got := last(); got != 2.25 {
		t.Errorf("on the CPU the last image is answered %v, want 2.25: it is one of two", got)
	}
	k.OnDevice()
	if got := last(); got != 10.25 {
		t.Errorf("on a device the last image is answered %v, want 10.25: it is one of ten", got)
	}
}

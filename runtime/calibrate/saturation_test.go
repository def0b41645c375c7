package calibrate_test

import (
	"math"
	"testing"

	"github.com/ortrain/ortrain/graphs/artifact"
	"github.com/ortrain/ortrain/graphs/deploy"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/ortest"
)

// heaviest is a network whose every product is the largest that 8 bits can hold:
// images of 2×4×4 ones, through a convolution and a product of weights of 1 or −1.
func heaviest(t *testing.T) *onnx.ModelProto {
	t.Helper()
	fill := func(n int, v float32) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = v
		}
		return x
	}
	return modelOf(t, ortest.Graph{
		Inputs:  []*onnx.ValueInfoProto{ortest.Floats(artifact.Images, -1, 2, 4, 4)},
		Outputs: []*onnx.ValueInfoProto{ortest.Floats(artifact.Logits, -1, 2)},
		Nodes: []*onnx.NodeProto{
			ortest.Node("Conv", []string{artifact.Images, "w"}, []string{"c"}),
			ortest.Node("Flatten", []string{"c"}, []string{"f"}),
			ortest.Node("Gemm", []string{"f", "v"}, []string{artifact.Logits}, onnx.AttrInt("transB", 1)),
		},
		Initializers: []*onnx.TensorProto{
			onnx.Floats("w", []int64{8, 2, 3, 3}, fill(8*2*3*3, 1)),
			onnx.Floats("v", []int64{2, 32}, append(fill(32, 1), fill(32, -1)...)),
		},
	})
}

// TestNothingSaturates: the weights of a quantised model leave the kernels of a
// processor without 8-bit dot products, which add two products in 16 bits, no
// sum to saturate, whereas all 8 bits of the weights would.
func TestNothingSaturates(t *testing.T) {
	ortest.Open(t)
	const c, logit = 2 * 3 * 3, 32 * 2 * 3 * 3 // sums of ones
	ranges := map[string]deploy.Range{artifact.Images: {High: 1}, "c": {High: c}, artifact.Logits: {Low: -logit, High: logit}}
	ones := make([]float32, 2*4*4)
	for i := range ones {
		ones[i] = 1
	}
	x := ortest.Tensor(t, ones, 1, 2, 4, 4)
	for _, full := range []bool{false, true} {
		m, done, err := deploy.Quantise(heaviest(t), ranges, deploy.QuantiseOptions{FullRange: full})
		if err != nil || done.Weighted != 2 {
			t.Fatalf("%+v, error %v", done, err)
		}
		largest := 0
		for _, w := range m.Graph.Initializer {
			if w.DataType == int32(onnx.TensorProto_INT8) {
				for _, b := range w.RawData {
					largest = max(largest, int(int8(b)), -int(int8(b)))
				}
			}
		}
		if fits := 2*255*largest <= math.MaxInt16; fits == full {
			t.Errorf("full range %v: the largest weight is %d", full, largest)
		}
		level := runtime.OptimizeAll
		if full { // the integer kernels may be wrong; the file must not be
			level = runtime.OptimizeNone
		}
		if got := runAs(t, m, x, level)[artifact.Logits]; apart([]float32{logit, -logit}, got) > 1e-3 {
			t.Errorf("full range %v: logits %v, want ±%d", full, got, logit)
		}
	}
}

package classify_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/classify"
)

// Classifies a PNG file with a model that tells which of its channels is the
// brightest.
func Example() {
	lib, err := runtime.FindLibrary("")
	if err != nil {
		log.Fatal(err)
	}
	if err := runtime.Open(lib); err != nil {
		log.Fatal(err)
	}
	// classify.Open reads a file instead.
	m, err := classify.New("colours.onnx", exampleModel(), classify.Options{
		Declared: runtime.ModelInfo{
			ClassNames: []string{"red", "green", "blue"},
			Mean:       []float32{0, 0, 0}, Std: []float32{0.1, 0.1, 0.1},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	answers, err := m.Files(context.Background(), exampleFile())
	if err != nil {
		log.Fatal(err)
	}
	for _, class := range answers[0].Top(2) {
		fmt.Printf("%s %.3f\n", class.Name, class.Probability)
	}
	// Output:
	// green 0.727
	// red 0.273
}

func exampleModel() []byte {
	b, err := onnx.Marshal(&onnx.ModelProto{
		IrVersion: 8, OpsetImport: []*onnx.OperatorSetIdProto{{Version: 17}},
		Graph: &onnx.GraphProto{
			Name:   "colours",
			Input:  []*onnx.ValueInfoProto{onnx.TensorInfo("images", onnx.TensorProto_FLOAT, []int64{-1, 3, 8, 8})},
			Output: []*onnx.ValueInfoProto{onnx.TensorInfo("logits", onnx.TensorProto_FLOAT, []int64{-1, 3})},
			Node: []*onnx.NodeProto{{OpType: "ReduceMean", Input: []string{"images"}, Output: []string{"logits"},
				Attribute: []*onnx.AttributeProto{onnx.AttrInts("axes", 2, 3), onnx.AttrInt("keepdims", 0)}}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	return b
}

func exampleFile() []byte {
	img := image.NewNRGBA(image.Rect(0, 0, 64, 48))
	for i := range 64 * 48 {
		img.Set(i%64, i/64, color.NRGBA{R: 204, G: 229, B: 1, A: 255}) // (229 − 204)/25.5 is 0.98
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		log.Fatal(err)
	}
	return b.Bytes()
}

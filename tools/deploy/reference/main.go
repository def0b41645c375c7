// Reference writes what a model is fed for image files and what it answers in
// Go, for programs in other languages to compare with:
//
//	go run ./tools/deploy/reference OUT.json MODEL.onnx IMAGE…
//
// OUT.json holds the shape and the values (little-endian, base64) of each
// image's input, and the outputs in the model's order.
package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"

	"github.com/ortrain/ortrain/runtime/classify"
	"github.com/ortrain/ortrain/runtime/job"
)

// reference is one image's case.
type reference struct {
	Image string  `json:"image"`
	Type  string  `json:"type"` // of Input: float32 or uint8
	Shape []int   `json:"shape"`
	Input string  `json:"input"`
	Value []value `json:"values"`
	// Classes of the values, in a model that gives the best few only.
	Classes []int `json:"classes,omitempty"`
	Top     int   `json:"top"`
}

type value float32

func (v value) MarshalJSON() ([]byte, error) { return json.Marshal(float64(v)) }

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: reference OUT.json MODEL.onnx IMAGE…")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run(out, model string, images []string) error {
	m, err := job.OpenClassifier(model, "", classify.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	var cases []reference
	for _, path := range images {
		file, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		in, err := m.Decode(file)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		answers, err := m.Run(context.Background(), in)
		if err != nil {
			return err
		}
		c := reference{Image: path, Top: answers[0].Top(1)[0].Index}
		for _, v := range answers[0].Values {
			c.Value = append(c.Value, value(v))
		}
		if len(answers[0].Values) < m.Network().Classes() {
			for _, k := range answers[0].Top(len(answers[0].Values)) {
				c.Classes = append(c.Classes, k.Index)
			}
		}
		c.fill(m, in)
		cases = append(cases, c)
	}
	b, err := json.Marshal(map[string]any{"model": model, "input": m.Network().Input().Name, "cases": cases})
	if err != nil {
		return err
	}
	return os.WriteFile(out, b, 0o644)
}

// fill encodes the input.
func (c *reference) fill(m *classify.Model, in *classify.Input) {
	if p := in.Pixels(); p != nil {
		c.Type, c.Shape, c.Input = "uint8", []int{1, p.H, p.W, p.C}, base64.StdEncoding.EncodeToString(p.Pix)
		return
	}
	var b []byte
	for _, v := range in.Planes() {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	size := m.Network().Image()
	c.Type, c.Shape, c.Input = "float32", []int{1, size[0], size[1], size[2]}, base64.StdEncoding.EncodeToString(b)
}

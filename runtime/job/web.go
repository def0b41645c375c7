package job

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/classify"
	"github.com/ortrain/ortrain/runtime/web"
)

// WebConfig says which model to put on a web page, and where.
type WebConfig struct {
	ONNX, Out string
	// Declared goes before what the model's metadata says, and becomes part of
	// it in the page's copy.
	Declared runtime.ModelInfo
	// Package is the folder of the npm package onnxruntime-web; empty: see
	// web.FindPackage.
	Package string
	Library string
}

// Web writes a static web page that classifies dropped images with a model. It
// returns the release of onnxruntime-web that went into it. A model that the
// page could not use is refused.
func Web(c WebConfig) (version string, err error) {
	p, err := web.FindPackage(c.Package)
	if err != nil {
		return "", fmt.Errorf("%w; run: npm install onnxruntime-web@%s", err, web.PackageVersion)
	}
	m, err := OpenClassifier(c.ONNX, c.Library, classify.Options{Declared: c.Declared})
	if err != nil {
		return "", err
	}
	defer m.Close()
	model, err := os.ReadFile(c.ONNX)
	if err != nil {
		return "", err
	}
	if declared := c.Declared.Metadata(); len(declared) > 0 {
		if model, err = describe(model, declared); err != nil {
			return "", fmt.Errorf("%s: %w", c.ONNX, err)
		}
	}
	return p.Version, web.Write(c.Out, model, p)
}

// describe replaces or adds metadata properties of an encoded model.
func describe(model []byte, properties map[string]string) ([]byte, error) {
	m, err := onnx.Unmarshal(model)
	if err != nil {
		return nil, err
	}
	for _, p := range m.GetMetadataProps() {
		if v, ok := properties[p.GetKey()]; ok {
			p.Value = v
			delete(properties, p.GetKey())
		}
	}
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		m.MetadataProps = append(m.MetadataProps, &onnx.StringStringEntryProto{Key: key, Value: properties[key]})
	}
	return onnx.Marshal(m)
}

package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/runtime/classify"
)

// OpenClassifier opens an ONNX Runtime with the provider of o.Runtime, from an
// explicit path unless library is empty, and loads a classifier to be used with
// images. The caller closes it.
func OpenClassifier(onnx, library string, o classify.Options) (*classify.Model, error) {
	if err := runtime.CheckProvider(o.Runtime.Provider); err != nil {
		return nil, err
	}
	if _, err := openLibraryFor(o.Runtime.Provider, o.Runtime.CUDA.Device, library); err != nil {
		return nil, err
	}
	return classify.Open(onnx, o)
}

// Predict classifies image files. One that cannot be read does not keep the
// others from being classified: the answers are those of the good files, in
// their order, and the error joins one for each of the others (errors.Join).
func Predict(ctx context.Context, c PredictConfig) ([]Prediction, error) {
	if len(c.Images) == 0 {
		return nil, errors.New("no images given")
	}
	o, err := c.Execution.open()
	if err != nil {
		return nil, err
	}
	batch := min(len(c.Images), classify.DefaultBatch)
	m, err := classify.Open(c.ONNX, classify.Options{Runtime: o, Declared: c.Declared, Batch: batch})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	top := c.TopK
	if top < 1 {
		top = 5
	}
	var out []Prediction
	var bad []error
	for at := 0; at < len(c.Images); at += batch {
		var files []string
		var inputs []*classify.Input
		for _, path := range c.Images[at:min(at+batch, len(c.Images))] {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			in, err := decodeFile(m, path)
			if err != nil {
				bad = append(bad, err)
				continue
			}
			files, inputs = append(files, path), append(inputs, in)
		}
		answers, err := m.Run(ctx, inputs...)
		if err != nil {
			return nil, err
		}
		for i, a := range answers {
			out = append(out, Prediction{File: files[i], Classes: a.Top(top)})
		}
	}
	return out, errors.Join(bad...)
}

func decodeFile(m *classify.Model, path string) (*classify.Input, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := io.ReadAll(io.LimitReader(f, data.MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(file) > data.MaxFile {
		return nil, fmt.Errorf("%s: an image file of more than %d MiB", path, data.MaxFile>>20)
	}
	in, err := m.Decode(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return in, nil
}

package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// Predict classifies image files with an ONNX classifier whose metadata says
// how to normalise them. Images of other sizes are scaled and cut to the
// model's. The first file that cannot be read ends it.
func Predict(ctx context.Context, c PredictConfig) ([]Prediction, error) {
	if len(c.Images) == 0 {
		return nil, errors.New("no images given")
	}
	if _, err := openLibrary(c.Library); err != nil {
		return nil, err
	}
	k, err := runtime.NewClassifier(c.ONNX, runtime.Options{Threads: c.Threads})
	if err != nil {
		return nil, err
	}
	defer k.Close()
	in, info := k.Image(), k.Info()
	size := pixel.Size{W: in[2], H: in[1], C: in[0]}
	if info.Mean == nil {
		return nil, fmt.Errorf("%s does not say how its input is normalised (metadata %q and %q); export it with this program", c.ONNX, runtime.MetaMean, runtime.MetaStd)
	}
	chain, err := pixel.NewChain(pixel.Info{In: size, Mean: widen(info.Mean), Std: widen(info.Std)})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.ONNX, err)
	}
	worker := chain.NewWorker()
	planes := make([]float32, in[0]*in[1]*in[2])
	var out []Prediction
	for _, path := range c.Images {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		img, err := data.ReadImage(path, size)
		if err != nil {
			return nil, err
		}
		worker.Apply(planes, img, 0, 0, 0)
		logits, err := k.Logits(planes, 1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, Prediction{File: path, Classes: rank(logits, info.ClassNames, c.TopK)})
	}
	return out, nil
}

// rank returns the k most likely classes, 5 if k is 0.
func rank(logits []float32, names []string, k int) []ClassScore {
	p := softmax(logits)
	scores := make([]ClassScore, len(p))
	for i, v := range p {
		scores[i] = ClassScore{Index: i, Name: fmt.Sprint(i), Probability: v}
		if i < len(names) {
			scores[i].Name = names[i]
		}
	}
	slices.SortStableFunc(scores, func(a, b ClassScore) int { return cmp.Compare(b.Probability, a.Probability) })
	if k < 1 {
		k = 5
	}
	return scores[:min(k, len(scores))]
}

func softmax(logits []float32) []float64 {
	top := float64(slices.Max(logits))
	p := make([]float64, len(logits))
	sum := 0.0
	for i, v := range logits {
		p[i] = math.Exp(float64(v) - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

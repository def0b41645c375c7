package job

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ortrain/ortrain/data"
	"github.com/ortrain/ortrain/graphs/onnx"
	"github.com/ortrain/ortrain/runtime"
)

// Measured are the figures of one form of a model on held-out images.
type Measured struct {
	Form  string `json:"form"`
	Bytes int64  `json:"bytes"`
	// Images is how many were classified; Top1 and Top5 are shares of 1, Loss
	// the mean cross-entropy, Agreement the share of images on which the most
	// likely class is that of the first form.
	Images    int     `json:"images"`
	Top1      float64 `json:"top1"`
	Top5      float64 `json:"top5"`
	Loss      float64 `json:"loss"`
	Agreement float64 `json:"agreement"`
	// Latency has a row for batches of 1 and of 32 images.
	Latency []runtime.Latency `json:"latency"`
}

// form is a model of normalised images to logits, with its name.
type form struct {
	name  string
	model *onnx.ModelProto
}

// measureForms runs all forms on the same images, as the options say, and times
// them in turn.
func measureForms(ctx context.Context, run *savedRun, forms []form, set *data.Subset, o runtime.Options, progress func(done int)) ([]Measured, error) {
	if set.Len() == 0 {
		return nil, fmt.Errorf("%s has no held-out images to measure on", run.recipe.Data.Name)
	}
	out := make([]Measured, len(forms))
	models := make([]*runtime.Classifier, len(forms))
	for i, f := range forms {
		b, err := onnx.Marshal(f.model)
		if err != nil {
			return nil, err
		}
		out[i] = Measured{Form: f.name, Bytes: int64(len(b)), Images: set.Len()}
		if models[i], err = runtime.NewClassifierFromBytes("the "+f.name+" model", b, runtime.ModelInfo{}, o); err != nil {
			return nil, err
		}
		defer models[i].Close()
	}
	scores, agreed := make([]runtime.Score, len(forms)), make([]int, len(forms))
	var sample []float32 // images for the timing
	size := models[0].Image()
	values := size[0] * size[1] * size[2]
	for b, err := range run.batches(ctx, set, evalBatch, progress) {
		if err != nil {
			return nil, err
		}
		if have := len(sample) / values; have < largestTimed {
			sample = append(sample, b.Images[:values*min(largestTimed-have, b.Count)]...)
		}
		var first []int
		for i, k := range models {
			a, err := k.Answer(ctx, b.Images, b.Count)
			if err != nil {
				return nil, err
			}
			if err := scores[i].Add(a.Values, b.Labels); err != nil {
				return nil, fmt.Errorf("the %s model: %w", forms[i].name, err)
			}
			best := bestClasses(a.Values, b.Count)
			if i == 0 {
				first = best
			}
			for n := range best {
				if best[n] == first[n] {
					agreed[i]++
				}
			}
		}
	}
	for i, s := range scores {
		out[i].Top1, out[i].Top5, out[i].Loss = s.Accuracy(), s.Top5Accuracy(), s.MeanLoss()
		out[i].Agreement = float64(agreed[i]) / float64(set.Len())
	}
	for _, n := range timedBatches {
		var runs []func() error
		for len(sample) < n*values {
			sample = append(sample, sample[:min(len(sample), n*values-len(sample))]...)
		}
		for _, k := range models {
			runs = append(runs, func() error { _, err := k.Answer(ctx, sample[:n*values], n); return err })
		}
		times, err := runtime.MeasureLatency(n, 60, 4*time.Second, runs...)
		if err != nil {
			return nil, err
		}
		for i, t := range times {
			out[i].Latency = append(out[i].Latency, t)
		}
	}
	return out, nil
}

// timedBatches are the batches whose latency is told; largestTimed the largest.
var timedBatches = []int{1, largestTimed}

const largestTimed = 32

// bestClasses returns the class of each row's largest value, the first of equals.
func bestClasses(logits []float32, n int) []int {
	best := make([]int, n)
	k := len(logits) / n
	for i := range best {
		row := logits[i*k : (i+1)*k]
		best[i] = slices.Index(row, slices.Max(row))
	}
	return best
}

package runtime

import (
	"fmt"
	"math"
)

// Score sums up how well logits match labels. The zero value is empty;
// scores over parts of a set add up with Merge.
type Score struct {
	// Samples counts the images; Top1 and Top5 those whose label is among the
	// one or five largest logits; Loss is the sum of the cross-entropies.
	Samples int64
	Top1    int64
	Top5    int64
	Loss    float64
}

// Accuracy returns the share of images whose label has the largest logit.
func (s Score) Accuracy() float64 { return s.mean(float64(s.Top1)) }

// Top5Accuracy returns the share of images whose label is among the five
// largest logits; with five classes or fewer it is 1.
func (s Score) Top5Accuracy() float64 { return s.mean(float64(s.Top5)) }

// MeanLoss returns the mean cross-entropy in nats.
func (s Score) MeanLoss() float64 { return s.mean(s.Loss) }

func (s Score) mean(sum float64) float64 {
	if s.Samples == 0 {
		return 0
	}
	return sum / float64(s.Samples)
}

// Merge adds another score.
func (s *Score) Merge(o Score) {
	s.Samples += o.Samples
	s.Top1 += o.Top1
	s.Top5 += o.Top5
	s.Loss += o.Loss
}

// Add scores a batch: logits is N×K in row-major order, labels are N class
// indices below K. Equal logits rank in the order of their classes, so that
// the first one is the prediction. Logits that are not finite give an error
// that wraps ErrNonFinite.
func (s *Score) Add(logits []float32, labels []int) error {
	if len(labels) == 0 {
		return nil
	}
	k := len(logits) / len(labels)
	if k == 0 || k*len(labels) != len(logits) {
		return fmt.Errorf("%d logits for %d labels: the number of classes is not whole", len(logits), len(labels))
	}
	for i, label := range labels {
		row := logits[i*k : (i+1)*k]
		if label < 0 || label >= k {
			return fmt.Errorf("label %d of image %d: the model has the classes 0 to %d", label, s.Samples, k-1)
		}
		loss := crossEntropy(row, label)
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return fmt.Errorf("image %d of the evaluation: %w", s.Samples, ErrNonFinite)
		}
		rank := 0
		for j, v := range row {
			if v > row[label] || v == row[label] && j < label {
				rank++
			}
		}
		s.Samples++
		s.Loss += loss
		if rank < 1 {
			s.Top1++
		}
		if rank < 5 {
			s.Top5++
		}
	}
	return nil
}

// CrossEntropy returns −log softmax(row)[label]; it is not finite if the row is
// not.
func CrossEntropy(row []float32, label int) float64 { return crossEntropy(row, label) }

// crossEntropy returns log Σ exp(row) − row[label], computed so that it
// neither overflows nor loses small differences.
func crossEntropy(row []float32, label int) float64 {
	top := math.Inf(-1)
	for _, v := range row {
		if v != v {
			return math.NaN()
		}
		top = max(top, float64(v))
	}
	if math.IsInf(top, 0) {
		return math.NaN()
	}
	sum := 0.0
	for _, v := range row {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum) - float64(row[label])
}

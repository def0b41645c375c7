package target

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed classweights.md
var classWeightsCard string

func init() {
	Shapers.Register(tricks.Trick{
		Name:    "class_weights",
		Summary: "weight the loss by class, for data with rare classes",
		Card:    classWeightsCard,
	}, func() Options { return &ClassWeightsOptions{Form: "balanced", Beta: 0.999} })
}

// ClassWeights multiplies each class's share of a target by the class's
// weight, so that the loss −Σ t·log p becomes −Σ w·t·log p (PyTorch's
// CrossEntropyLoss(weight=w) with targets given as probabilities, whose mean
// is over the images). It is linear in the targets. Rows then no longer sum to
// one, so it stands last in a chain.
type ClassWeights []float32

// Shape implements Shaper. It panics if there are not k weights.
func (w ClassWeights) Shape(rows []float32, k int) {
	if len(w) != k {
		panic("target: as many class weights as classes are needed")
	}
	for len(rows) > 0 {
		for c, v := range w {
			rows[c] *= v
		}
		rows = rows[k:]
	}
}

// ClassWeightsOptions are the recipe keys of class weights.
type ClassWeightsOptions struct {
	// Form is "balanced", "effective" or "given".
	Form string `yaml:"form"`
	// Weights, one a class and above 0, are those of form given.
	Weights []float64 `yaml:"weights,flow,omitempty"`
	// Beta, in [0, 1), is that of form effective.
	Beta float64 `yaml:"beta"`
}

// Validate implements Options.
func (o *ClassWeightsOptions) Validate() error {
	switch o.Form {
	case "balanced", "effective":
		if len(o.Weights) > 0 {
			return strict.Errorf("weights", "given, but form %s computes them; say form: given", o.Form)
		}
	case "given":
		if len(o.Weights) == 0 {
			return strict.Errorf("weights", "form given needs a list with one weight a class")
		}
	default:
		return strict.Errorf("form", "unknown form %q%s", o.Form, nearest.Hint(o.Form, []string{"balanced", "effective", "given"}))
	}
	for i, w := range o.Weights {
		if !(w > 0) || math.IsInf(w, 0) {
			return strict.Errorf("weights", "must be above 0, got %v for class %d", w, i)
		}
	}
	if !(o.Beta >= 0 && o.Beta < 1) {
		return strict.Errorf("beta", "must be at least 0 and below 1, got %v", o.Beta)
	}
	return nil
}

// Build implements Options.
func (o *ClassWeightsOptions) Build(info Info) (Shaper, error) {
	if o.Form == "given" {
		if len(o.Weights) != info.Classes {
			return nil, strict.Errorf("weights", "%d weights for the data's %d classes", len(o.Weights), info.Classes)
		}
		w := make(ClassWeights, info.Classes)
		for c, v := range o.Weights {
			w[c] = float32(v)
		}
		return w, nil
	}
	if len(info.Counts) != info.Classes {
		return nil, strict.Errorf("form", "%s needs to know how many training images each class has", o.Form)
	}
	// Both forms are scaled so that the mean weight over the images is one:
	// the size of the gradient, and so the learning rate, keeps its meaning.
	w, images, sum := make([]float64, info.Classes), 0, 0.0
	for c, n := range info.Counts {
		if n == 0 {
			return nil, strict.Errorf("form", "%s cannot weight class %d, which has no training images; give the weights", o.Form, c)
		}
		w[c] = 1 / float64(n)
		if o.Form == "effective" {
			w[c] = (1 - o.Beta) / -math.Expm1(float64(n)*math.Log(o.Beta))
		}
		images += n
		sum += float64(n) * w[c]
	}
	scaled := make(ClassWeights, len(w))
	for c := range w {
		scaled[c] = float32(w[c] * float64(images) / sum)
	}
	return scaled, nil
}

// Order implements Options.
func (*ClassWeightsOptions) Order() int { return Weighting }

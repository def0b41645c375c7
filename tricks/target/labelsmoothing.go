package target

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed labelsmoothing.md
var labelSmoothingCard string

func init() {
	Shapers.Register(tricks.Trick{
		Name:    "label_smoothing",
		Summary: "move a little of each target's weight from its class to the others",
		Card:    labelSmoothingCard,
	}, func() Options { return &LabelSmoothingOptions{Epsilon: 0.1, Form: string(PyTorch)} })
}

// Form names one of the two definitions of label smoothing in use.
type Form string

// The forms of label smoothing for ε and K classes. Smoothing by ε in the
// survey's form equals smoothing by ε·K/(K−1) in PyTorch's.
const (
	// PyTorch is (1−ε)·target + ε/K (Szegedy et al. 2015, §7).
	PyTorch Form = "pytorch"
	// Survey puts 1−ε on the true class and ε/(K−1) on each other one.
	Survey Form = "survey"
)

// LabelSmoothing smooths by Epsilon in [0, 1). Both forms are linear in the
// target, so they smooth mixed targets as well as one-hot ones.
type LabelSmoothing struct {
	Epsilon float64
	Form    Form
}

// Shape implements Shaper. It panics if k is less than 2.
func (s LabelSmoothing) Shape(rows []float32, k int) {
	if k < 2 {
		panic("target: label smoothing of fewer than two classes")
	}
	scale, add := s.affine(k)
	for i, v := range rows {
		rows[i] = float32(scale*float64(v) + add)
	}
}

// affine returns the scale and offset of a row that sums to one.
func (s LabelSmoothing) affine(k int) (scale, add float64) {
	if s.Form == Survey {
		// y(1−ε) + (1−y)·ε/(K−1)
		rest := s.Epsilon / float64(k-1)
		return 1 - s.Epsilon - rest, rest
	}
	return 1 - s.Epsilon, s.Epsilon / float64(k)
}

// LabelSmoothingOptions are the recipe keys of label smoothing.
type LabelSmoothingOptions struct {
	// Epsilon is in [0, 1); 0 changes nothing.
	Epsilon float64 `yaml:"epsilon"`
	// Form is "pytorch" or "survey".
	Form string `yaml:"form"`
}

// Validate implements Options.
func (o *LabelSmoothingOptions) Validate() error {
	if !(o.Epsilon >= 0 && o.Epsilon < 1) {
		return strict.Errorf("epsilon", "must be at least 0 and below 1, got %v", o.Epsilon)
	}
	if f := Form(o.Form); f != PyTorch && f != Survey {
		return strict.Errorf("form", "unknown form %q%s", o.Form, nearest.Hint(o.Form, []string{string(PyTorch), string(Survey)}))
	}
	return nil
}

// Build implements Options. One class cannot be smoothed.
func (o *LabelSmoothingOptions) Build(info Info) (Shaper, error) {
	if info.Classes < 2 {
		return nil, strict.Errorf("", "needs at least two classes, the data has %d", info.Classes)
	}
	return LabelSmoothing{Epsilon: o.Epsilon, Form: Form(o.Form)}, nil
}

// Order implements Options.
func (*LabelSmoothingOptions) Order() int { return Smoothing }

package network

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/strict"
)

//go:embed focal.md
var focalCard string

func init() {
	tricks.Register(tricks.Trick{Name: "focal", Kind: tricks.Target, Summary: "spend less of the loss on what is nearly right: focal loss of softmax or sigmoid", Card: focalCard})
	Documented["focal"] = []string{"loss", "focal.gamma", "focal.alpha"}
}

// The names of the two forms of the focal loss.
const (
	FocalSoftmax = "focal"
	FocalSigmoid = "focal_bce"
)

// NoAlpha as α leaves the balance of the sigmoid's focal loss out.
const NoAlpha = -1

// Focal are the keys of the focal loss (Lin et al. 2017, "Focal Loss for Dense
// Object Detection"). Nil means the default.
type Focal struct {
	// Gamma is the focusing parameter γ, at least 0 (2).
	Gamma *float64 `yaml:"gamma,omitempty"`
	// Alpha is the weight of the positive side of each sigmoid, 0 to 1, or
	// NoAlpha (0.25). The softmax's form has none.
	Alpha *float64 `yaml:"alpha,omitempty"`
}

// IsZero makes absent keys absent in YAML.
func (f Focal) IsZero() bool { return f.Gamma == nil && f.Alpha == nil }

// Resolve returns the keys in full for a loss, which may be none of the two
// forms; there must be no keys then. The error is a *strict.Error.
func (f Focal) Resolve(loss string) (Focal, error) {
	if loss != FocalSoftmax && loss != FocalSigmoid {
		if !f.IsZero() {
			return f, strict.Errorf("", "belongs to loss: %s or %s; set one of them or leave it out", FocalSoftmax, FocalSigmoid)
		}
		return f, nil
	}
	gamma, alpha := 2.0, 0.25
	if f.Gamma != nil {
		gamma = *f.Gamma
	}
	if !(gamma >= 0 && gamma <= 100) {
		return f, strict.Errorf("gamma", "must be 0 to 100, got %v", gamma)
	}
	out := Focal{Gamma: &gamma}
	if loss == FocalSoftmax {
		if f.Alpha != nil {
			return f, strict.Errorf("alpha", "belongs to loss: %s; weight the classes of the softmax by target.class_weights", FocalSigmoid)
		}
		return out, nil
	}
	if f.Alpha != nil {
		alpha = *f.Alpha
	}
	if !(alpha >= 0 && alpha <= 1) && alpha != NoAlpha {
		return f, strict.Errorf("alpha", "must be 0 to 1, or %d for none, got %v", NoAlpha, alpha)
	}
	out.Alpha = &alpha
	return out, nil
}

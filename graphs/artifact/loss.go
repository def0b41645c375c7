package artifact

import (
	"fmt"
	"strings"

	"github.com/ortrain/ortrain/graphs/ir"
)

// The losses that a step may minimise: the cross-entropy of the softmax, a mean
// over the batch, or of each class's own sigmoid, a mean over batch and
// classes; and the focal form of either.
const (
	SoftmaxLoss  = "softmax"
	BCELoss      = "bce"
	FocalLoss    = "focal"
	FocalBCELoss = "focal_bce"
)

// losses are the names of all losses.
var losses = []string{SoftmaxLoss, BCELoss, FocalLoss, FocalBCELoss}

// Focal are the parameters of the focal losses, built into the graph.
type Focal struct {
	// Gamma is the focusing parameter.
	Gamma float64 `json:"gamma"`
	// Alpha is FocalBCELoss's weight of the positive side; negative for none.
	Alpha float64 `json:"alpha"`
}

// hardLoss notes the loss of the targets.
func (m *Manifest) hardLoss(s Spec) error {
	switch m.Loss = s.Loss; m.Loss {
	case "":
		m.Loss = SoftmaxLoss
	case SoftmaxLoss, BCELoss:
	case FocalLoss, FocalBCELoss:
		if !(s.Focal.Gamma >= 0) {
			return fmt.Errorf("artifact: the focal loss needs a gamma of at least 0, have %v", s.Focal.Gamma)
		}
		m.Focal = &s.Focal
	default:
		return fmt.Errorf("artifact: unknown loss %q; there are %s", m.Loss, strings.Join(losses, ", "))
	}
	return nil
}

// lossOp is the operator that makes the loss of logits and targets.
func (m *Manifest) lossOp() ir.Op {
	switch m.Loss {
	case BCELoss:
		return ir.SigmoidCrossEntropy{}
	case FocalLoss:
		return ir.SoftmaxFocal{Gamma: m.Focal.Gamma}
	case FocalBCELoss:
		return ir.SigmoidFocal{Gamma: m.Focal.Gamma, Alpha: m.Focal.Alpha}
	}
	return ir.SoftmaxCrossEntropy{}
}

package artifact

import (
	"fmt"

	"github.com/ortrain/ortrain/graphs/ir"
	"github.com/ortrain/ortrain/graphs/nn"
)

// A set that distils has a teacher's logits (Teacher) as an input of its step
// beside the targets, and minimises the loss of nn.Distillation. Its three
// scalars are inputs as well, so that every form of the loss and every schedule
// of it runs the same graph.

// The soft terms that Spec.Distillation may name. Their gradients are equal:
// the divergence is the cross-entropy less the teacher's entropy.
const (
	SoftCrossEntropy = "cross_entropy"
	SoftDivergence   = "kl"
)

// Names of the further inputs of a step that distils.
const (
	Teacher     = "teacher"     // float32 N×K, the teacher's logits
	Temperature = "temperature" // T, above 0
	HardWeight  = "hard_weight" // of the targets' term
	SoftWeight  = "soft_weight" // of the teacher's term
)

// distillation adds what a step that distils needs to the manifest.
func (m *Manifest) distillation(soft string) error {
	switch m.Distillation = soft; soft {
	case "":
		return nil
	case SoftCrossEntropy, SoftDivergence:
	default:
		return fmt.Errorf("artifact: unknown distillation %q; there are %s and %s", soft, SoftCrossEntropy, SoftDivergence)
	}
	m.Hyper = append(m.Hyper, HyperInfo{Temperature, 4}, HyperInfo{HardWeight, 1}, HyperInfo{SoftWeight, 1})
	return nil
}

// distil adds the teacher's term to the hard loss.
func (m *Manifest) distil(g *ir.Graph, hard, logits *ir.Value, hyper map[string]*ir.Value) *ir.Value {
	return nn.Distillation{
		Hard: hard, Student: logits, Teacher: g.Input(Teacher, logits.Type),
		T: hyper[Temperature], HardWeight: hyper[HardWeight], SoftWeight: hyper[SoftWeight],
		Divergence: m.Distillation == SoftDivergence,
	}.Loss(g)
}

package nn

import "github.com/ortrain/ortrain/graphs/ir"

// Distillation is a loss with a teacher's term (Hinton, Vinyals, Dean 2015,
// "Distilling the Knowledge in a Neural Network", §2):
//
//	HardWeight·Hard + SoftWeight·T²·soft(softmax(r/T), softmax(z/T))
//
// where z are the student's logits, r the teacher's, and soft is the mean over
// the batch of the cross-entropy, or of the Kullback-Leibler divergence, of the
// two. T² keeps the size of the soft term's gradient when T changes.
type Distillation struct {
	// Hard is the loss of the targets, a scalar.
	Hard *ir.Value
	// Student and Teacher are logits, N×K.
	Student, Teacher *ir.Value
	// T is the temperature, above 0; all three are scalars.
	T, HardWeight, SoftWeight *ir.Value
	// Divergence takes the teacher's entropy off the cross-entropy, so that the
	// soft term is 0 when the student agrees. The gradient is the same.
	Divergence bool
}

// Loss appends the loss to g and returns it, a scalar. It has a gradient for the
// student's logits only, the teacher's are taken as given.
func (d Distillation) Loss(g *ir.Graph) *ir.Value {
	apply := func(name string, f ir.BinaryKind, a, b *ir.Value) *ir.Value {
		return g.One("distil."+name, ir.Binary{F: f}, a, b)
	}
	r, z := apply("teacher", ir.Div, d.Teacher, d.T), apply("student", ir.Div, d.Student, d.T)
	p := g.One("distil.probabilities", ir.Softmax{}, r)
	soft := g.One("distil.soft", ir.SoftmaxCrossEntropy{}, z, p)
	if d.Divergence {
		soft = apply("divergence", ir.Sub, soft, g.One("distil.entropy", ir.SoftmaxCrossEntropy{}, r, p))
	}
	weight := apply("weight", ir.Mul, d.SoftWeight, apply("square", ir.Mul, d.T, d.T))
	return apply("loss", ir.Add, apply("hard", ir.Mul, d.HardWeight, d.Hard), apply("weighted", ir.Mul, weight, soft))
}

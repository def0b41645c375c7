package ir

// SoftmaxFocal is the focal loss of the softmax (Lin et al. 2017, "Focal Loss
// for Dense Object Detection", for K classes): the mean over the batch of
// −Σ_k t_k·(1−p_k)^γ·log p_k with p = softmax(z). Inputs are logits z N×K and
// soft targets t N×K; outputs the loss, a scalar, and log p N×K, which the
// gradient reads again. γ = 0 is SoftmaxCrossEntropy. Like it, the loss is
// linear in the targets, so that mixed targets give mixed losses and weights of
// classes may be multiplied into them.
type SoftmaxFocal struct{ Gamma float64 }

func (SoftmaxFocal) Kind() string { return "SoftmaxFocal" }

func (SoftmaxFocal) Infer(in []Type) ([]Type, error) { return SoftmaxCrossEntropy{}.Infer(in) }

// SoftmaxFocalGrad is the gradient with respect to the logits: inputs the
// gradient g of the loss (scalar), log p and the targets. With
// u_k = t_k·(γ·p_k·(1−p_k)^(γ−1)·log p_k − (1−p_k)^γ) it is
// dz_j = g/N·(u_j − p_j·Σ_k u_k).
type SoftmaxFocalGrad struct{ Gamma float64 }

func (SoftmaxFocalGrad) Kind() string { return "SoftmaxFocalGrad" }

func (SoftmaxFocalGrad) Infer(in []Type) ([]Type, error) { return SoftmaxCrossEntropyGrad{}.Infer(in) }

// SigmoidFocal is the focal loss of each class's own sigmoid, the paper's: the
// mean over all N×K elements of α_t·(1−p_t)^γ·b, with p = σ(z), b the binary
// cross-entropy of SigmoidCrossEntropy, p_t = p·t + (1−p)·(1−t) and
// α_t = α·t + (1−α)·(1−t), or 1 if Alpha is negative. Soft targets enter as in
// torchvision's sigmoid_focal_loss. γ = 0 without α is SigmoidCrossEntropy.
type SigmoidFocal struct{ Gamma, Alpha float64 }

func (SigmoidFocal) Kind() string { return "SigmoidFocal" }

func (SigmoidFocal) Infer(in []Type) ([]Type, error) { return SigmoidCrossEntropy{}.Infer(in) }

// SigmoidFocalGrad is the gradient with respect to the logits: inputs the
// gradient g of the loss (scalar), z and t. With m = 1−p_t it is
// dz = g/(N·K)·α_t·(γ·m^(γ−1)·(1−2t)·p·(1−p)·b + m^γ·(p−t)).
type SigmoidFocalGrad struct{ Gamma, Alpha float64 }

func (SigmoidFocalGrad) Kind() string { return "SigmoidFocalGrad" }

func (SigmoidFocalGrad) Infer(in []Type) ([]Type, error) { return SigmoidCrossEntropyGrad{}.Infer(in) }

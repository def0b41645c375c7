package nn

import "github.com/ortrain/ortrain/graphs/ir"

// Shake chooses where a network's shakes draw anew. Evaluation takes the mean
// of the factors, whatever the mode.
type Shake string

// The modes of Gastaldi 2017, table 1, which names them by their forward and
// backward passes: in a shaken pass the factors are drawn, an even one uses
// their mean, and a kept one uses those of the forward pass. The first two draw
// for every image, the third once for a batch.
const (
	ShakeShakeImage Shake = "shake_shake_image"
	ShakeKeepImage  Shake = "shake_keep_image"
	ShakeShakeBatch Shake = "shake_shake_batch"
	ShakeEvenImage  Shake = "shake_even_image"
	EvenEven        Shake = "even_even"
)

// Shakes lists the modes, the paper's best first.
func Shakes() []string {
	return []string{string(ShakeShakeImage), string(ShakeKeepImage), string(ShakeEvenImage), string(ShakeShakeBatch), string(EvenEven)}
}

// ShakeShake mixes two branches of one shape: α·x + (1−α)·y forward, and β in
// the place of α on the way back, both uniform in [0,1) and independent
// (Gastaldi 2017, "Shake-Shake regularization"). Without training it is their
// mean.
func (b *Builder) ShakeShake(name string, x, y *ir.Value, mode Shake) *ir.Value {
	half := b.G.Scalar(0.5)
	if !b.Training || mode == EvenEven {
		return b.G.One(name, ir.Binary{F: ir.Mul}, b.Add(name+".sum", x, y), half)
	}
	images := x.Shape[0]
	if mode == ShakeShakeBatch {
		images = 1
	}
	shape := ir.Shape{images, 1, 1, 1}
	alpha := b.Source.Random(Random{Name: name + ".alpha", Shape: shape})
	beta := alpha
	switch mode {
	case ShakeShakeImage, ShakeShakeBatch:
		beta = b.Source.Random(Random{Name: name + ".beta", Shape: shape})
	case ShakeEvenImage:
		beta = b.G.Const(name+".even", shape, filled(images, 0.5))
	}
	rest := func(v *ir.Value) *ir.Value {
		return b.G.One(name+".rest", ir.Binary{F: ir.Sub}, b.G.Scalar(1), v)
	}
	return b.Add(name,
		b.G.One(name+".x", ir.Shake{}, x, alpha, beta),
		b.G.One(name+".y", ir.Shake{}, y, rest(alpha), rest(beta)))
}

// ShakeDrop multiplies a branch by b + α − b·α forward and by b + β − b·β on the
// way back: b is 1 with probability keep and 0 otherwise, α is uniform in
// [−1,1) and β in [0,1) (Yamada et al. 2018, "ShakeDrop Regularization for Deep
// Residual Learning", §4). Each image draws its own, or with batch all images of
// a step share theirs. Without training it multiplies by the mean, which is
// keep.
func (b *Builder) ShakeDrop(name string, x *ir.Value, keep float64, batch bool) *ir.Value {
	if keep == 1 {
		return x
	}
	if !b.Training {
		return b.G.One(name, ir.Binary{F: ir.Mul}, x, b.G.Scalar(float32(keep)))
	}
	shape := ir.Shape{x.Shape[0], 1, 1, 1}
	if batch {
		shape[0] = 1
	}
	binary := func(f ir.BinaryKind, x, y *ir.Value) *ir.Value { return b.G.One(name+".factor", ir.Binary{F: f}, x, y) }
	// The draw is 1/keep or 0.
	gate := binary(ir.Mul, b.Source.Random(Random{Name: name + ".gate", Shape: shape, Keep: keep}), b.G.Scalar(float32(keep)))
	alpha := b.Source.Random(Random{Name: name + ".alpha", Shape: shape})
	alpha = binary(ir.Sub, binary(ir.Mul, alpha, b.G.Scalar(2)), b.G.Scalar(1))
	beta := b.Source.Random(Random{Name: name + ".beta", Shape: shape})
	factor := func(v *ir.Value) *ir.Value {
		closed := binary(ir.Sub, b.G.Scalar(1), gate)
		return binary(ir.Add, gate, binary(ir.Mul, v, closed))
	}
	return b.G.One(name, ir.Shake{}, x, factor(alpha), factor(beta))
}

func filled(n int, x float32) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = x
	}
	return v
}

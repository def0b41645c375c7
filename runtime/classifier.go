package runtime

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
)

// Classifier runs a finished ONNX classifier, ortrain's or another's. It takes
// one input: float32 or float16 N×C×H×W, normalised, or, with the
// preprocessing in the graph, uint8 N×H×W×C pixels. It gives N×K logits or
// probabilities, or the values of the best few classes followed by their
// int64 indices. It may be used in several goroutines at a time.
type Classifier struct {
	session *Session
	info    ModelInfo
	input   Port
	output  Port
	image   [3]int
	pixels  bool
	classes int
	columns int
	batch   int
	padTo   int // see PadTo
	// probable tells that the output holds probabilities, not logits.
	probable bool
}

// NewClassifier loads a classifier file. When the model leaves the image size
// open, the size comes from its metadata.
func NewClassifier(path string, o Options) (*Classifier, error) {
	return NewDeclaredClassifier(path, ModelInfo{}, o)
}

// NewDeclaredClassifier is NewClassifier for a file whose metadata are
// missing or wrong: what declared says goes before them.
func NewDeclaredClassifier(path string, declared ModelInfo, o Options) (*Classifier, error) {
	session, err := NewSession(path, o)
	if err != nil {
		return nil, err
	}
	return classifier(session, declared)
}

// NewClassifierFromBytes is NewDeclaredClassifier for an encoded model; name
// stands for it in errors.
func NewClassifierFromBytes(name string, data []byte, declared ModelInfo, o Options) (*Classifier, error) {
	session, err := NewSessionFromBytes(name, data, o)
	if err != nil {
		return nil, err
	}
	return classifier(session, declared)
}

func classifier(s *Session, declared ModelInfo) (*Classifier, error) {
	c := &Classifier{session: s}
	if err := c.describe(declared); err != nil {
		s.Close()
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return c, nil
}

// Info returns what the model's metadata and its user declare; the caller must
// not change it.
func (c *Classifier) Info() ModelInfo { return c.info }

// Metadata returns all metadata properties of the file; the caller must not
// change them.
func (c *Classifier) Metadata() map[string]string { return c.session.metadata }

// Image returns the size of an input image: C, H, W. Of a model that TakesPixels
// H and W are what the network inside sees, 0 if the metadata does not tell.
func (c *Classifier) Image() [3]int { return c.image }

// TakesPixels tells whether the preprocessing is part of the graph: the input
// is uint8 N×H×W×C of any height and width, for AnswerPixels.
func (c *Classifier) TakesPixels() bool { return c.pixels }

// Classes returns the number of classes; 0 for a model that gives the best few
// only and does not name them all.
func (c *Classifier) Classes() int { return c.classes }

// Batch returns the batch size that the model is fixed to, or 0 if it takes
// any. The methods take any number of images in either case.
func (c *Classifier) Batch() int { return c.batch }

// PadTo makes every run on a device one of n images, filled up with blank ones
// where fewer are given: it plans anew for every other number, which takes longer
// than the blank images do. On the CPU, or in a model that is fixed to a batch,
// nothing changes. It is called before the first run.
func (c *Classifier) PadTo(n int) {
	if c.session.device {
		c.padTo = n
	}
}

// Input and Output describe the model's input and its first output.
func (c *Classifier) Input() Port  { return c.input }
func (c *Classifier) Output() Port { return c.output }

// Logits classifies n images, given as n×C×H×W and normalised, and returns
// n×K logits in memory of the caller's own. Of a model that gives
// probabilities they are the logarithms, whose softmax is the same.
func (c *Classifier) Logits(images []float32, n int) ([]float32, error) {
	return c.logits(c.forward(), Batch{Images: images}, n)
}

func (c *Classifier) logits(f *forward, b Batch, n int) ([]float32, error) {
	if c.ranked() {
		return nil, fmt.Errorf("%s: it gives the best %d classes only; the logits of all are needed", c.session.name, c.columns)
	}
	if c.pixels {
		return nil, c.wantsPixels()
	}
	out, err := f.runContext(context.Background(), b, n)
	if err != nil || !c.probable {
		return out, err
	}
	for i, p := range out {
		out[i] = float32(math.Log(max(float64(p), math.SmallestNonzeroFloat32)))
	}
	return out, nil
}

func (c *Classifier) wantsPixels() error {
	return fmt.Errorf("%s: its input is pixels (%s), not normalised planes", c.session.name, c.input)
}

// Answers are what a classifier says of n images: n rows of Columns values.
type Answers struct {
	Values  []float32
	Columns int
	// Classes are the classes of the values, row by row in falling order of
	// their values, if the model gives the best few only. Otherwise it is nil
	// and column k is class k.
	Classes []int64
	// Probabilities tells that the values are probabilities, not logits.
	Probabilities bool
}

// Answer classifies n images, given as n×C×H×W and normalised. The answers are
// in memory of the caller's own. It ends early, with the context's error, when
// the context is done.
func (c *Classifier) Answer(ctx context.Context, images []float32, n int) (Answers, error) {
	if c.pixels {
		return Answers{}, c.wantsPixels()
	}
	f := c.forward()
	values, err := f.runContext(ctx, Batch{Images: images}, n)
	return c.answers(f, values, n), err
}

// AnswerPixels is Answer for a model that TakesPixels: n images of one size as
// decoded, n×height×width×C.
func (c *Classifier) AnswerPixels(ctx context.Context, pixels []uint8, n, height, width int) (Answers, error) {
	if !c.pixels {
		return Answers{}, fmt.Errorf("%s: its input is normalised planes (%s), not pixels", c.session.name, c.input)
	}
	f := c.forward()
	values, err := f.runPixels(ctx, pixels, n, height, width)
	return c.answers(f, values, n), err
}

func (c *Classifier) answers(f *forward, values []float32, n int) Answers {
	a := Answers{Values: values, Columns: c.columns, Probabilities: c.probable}
	if c.ranked() && values != nil {
		a.Classes = f.ranks[:n*c.columns]
	}
	return a
}

// ranked tells whether the model gives the best few classes only.
func (c *Classifier) ranked() bool { return len(c.session.outputs) == 2 }

// Evaluate scores the batches as Evaluator.Evaluate does.
func (c *Classifier) Evaluate(batches iter.Seq2[Batch, error]) (Score, error) {
	f := c.forward()
	return score(func(b Batch) ([]float32, error) { return c.logits(f, b, len(b.Labels)) }, batches)
}

func (c *Classifier) forward() *forward {
	f := &forward{session: c.session, images: c.input, logits: c.output, image: c.image, classes: c.columns, batch: cmp.Or(c.batch, c.padTo)}
	if c.ranked() {
		f.rank = c.session.outputs[1].Name
	}
	return f
}

// Close frees the session; no run may be going on. Closing twice is harmless.
func (c *Classifier) Close() error { return c.session.Close() }

package runtime

import (
	"context"
	"fmt"
	"iter"
)

// Classifier runs a finished ONNX classifier: any model with one float32
// input N×C×H×W and one float32 output N×K, ortrain's or another's. It may be
// used in several goroutines at a time.
type Classifier struct {
	session *Session
	info    ModelInfo
	input   Port
	output  Port
	image   [3]int
	classes int
	batch   int
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

// describe derives sizes from the ports and what is declared.
func (c *Classifier) describe(declared ModelInfo) error {
	s := c.session
	if len(s.inputs) != 1 || len(s.outputs) != 1 {
		return fmt.Errorf("not a classifier: it has %d inputs and %d outputs; one of each is expected", len(s.inputs), len(s.outputs))
	}
	c.input, c.output = s.inputs[0], s.outputs[0]
	if c.input.Type != Float32 || len(c.input.Shape) != 4 {
		return fmt.Errorf("not an image classifier: its input is %s; a float N×C×H×W is expected", c.input)
	}
	if c.output.Type != Float32 || c.output.Ranked && len(c.output.Shape) != 2 {
		return fmt.Errorf("not a classifier: its output is %s; a float N×K is expected", c.output)
	}
	if err := declared.check(); err != nil {
		return err
	}
	info, err := ParseModelInfo(s.metadata)
	if err != nil {
		return err
	}
	c.info = declared.Over(info)
	if err := c.sizeImage(); err != nil {
		return err
	}
	c.batch = max(0, int(c.input.Shape[0]))
	if c.output.Ranked {
		c.classes = int(c.output.Shape[1])
	}
	if c.classes < 1 {
		// Exporters may leave the number open although the weights fix it.
		if c.classes, err = c.countClasses(); err != nil {
			return err
		}
	}
	if n := len(c.info.ClassNames); n != 0 && n != c.classes {
		return fmt.Errorf("%d class names are given; its output has %d", n, c.classes)
	}
	if n := len(c.info.Mean); n != 0 && n != c.image[0] {
		return fmt.Errorf("a mean of %d channels is given; its input has %d", n, c.image[0])
	}
	return nil
}

// sizeImage takes the image size from the input's shape, and where that
// leaves it open from what is declared.
func (c *Classifier) sizeImage() error {
	for i, d := range c.input.Shape[1:] {
		c.image[i] = int(d)
		if d >= 0 {
			if n := c.info.InputSize[i]; n > 0 && n != c.image[i] {
				return fmt.Errorf("images of %d×%d×%d are declared; its input is %s", c.info.InputSize[0], c.info.InputSize[1], c.info.InputSize[2], c.input)
			}
			continue
		}
		if c.image[i] = c.info.InputSize[i]; c.image[i] < 1 {
			return &UndeclaredError{Keys: []string{MetaInputSize}, Problem: fmt.Sprintf(
				"its input %s leaves the image size open and its metadata does not say it (%s)", c.input, MetaInputSize)}
		}
	}
	return nil
}

// countClasses runs one blank batch and looks at the shape of the result.
func (c *Classifier) countClasses() (int, error) {
	n := max(1, c.batch)
	x, err := NewTensor(int64(n), int64(c.image[0]), int64(c.image[1]), int64(c.image[2]))
	if err != nil {
		return 0, err
	}
	defer x.Close()
	shape, err := c.session.outputShape(x)
	if err != nil {
		return 0, err
	}
	if len(shape) != 2 || shape[0] != int64(n) || shape[1] < 1 {
		return 0, fmt.Errorf("not a classifier: its output has shape %v for %d images", shape, n)
	}
	return int(shape[1]), nil
}

// Info returns what the model's metadata and its user declare; the caller must
// not change it.
func (c *Classifier) Info() ModelInfo { return c.info }

// Metadata returns all metadata properties of the file; the caller must not
// change them.
func (c *Classifier) Metadata() map[string]string { return c.session.metadata }

// Image returns the size of an input image: C, H, W.
func (c *Classifier) Image() [3]int { return c.image }

// Classes returns the number of logits of an image.
func (c *Classifier) Classes() int { return c.classes }

// Batch returns the batch size that the model is fixed to, or 0 if it takes
// any. The methods take any number of images in either case.
func (c *Classifier) Batch() int { return c.batch }

// Input and Output describe the model's ports.
func (c *Classifier) Input() Port  { return c.input }
func (c *Classifier) Output() Port { return c.output }

// Logits classifies n images, given as n×C×H×W and normalised, and returns
// n×K logits in memory of the caller's own.
func (c *Classifier) Logits(images []float32, n int) ([]float32, error) {
	return c.forward().run(images, n)
}

// LogitsContext is Logits that ends early, with the context's error, when the
// context is done.
func (c *Classifier) LogitsContext(ctx context.Context, images []float32, n int) ([]float32, error) {
	return c.forward().runContext(ctx, images, n)
}

// Evaluate scores the batches as Evaluator.Evaluate does.
func (c *Classifier) Evaluate(batches iter.Seq2[Batch, error]) (Score, error) {
	return score(c.forward(), batches)
}

func (c *Classifier) forward() *forward {
	return &forward{session: c.session, images: c.input.Name, logits: c.output.Name,
		image: c.image, classes: c.classes, batch: c.batch}
}

// Close frees the session. Closing twice is harmless.
func (c *Classifier) Close() error { return c.session.Close() }

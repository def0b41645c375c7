package runtime

import (
	"errors"
	"fmt"
)

var errNotClassifier = errors.New("not an image classifier")

// describe derives kinds and sizes from the ports and what is declared.
func (c *Classifier) describe(declared ModelInfo) error {
	s := c.session
	if len(s.inputs) != 1 || len(s.outputs) > 2 {
		return fmt.Errorf("%w: it has %d inputs and %d outputs; one of each is expected", errNotClassifier, len(s.inputs), len(s.outputs))
	}
	c.input, c.output = s.inputs[0], s.outputs[0]
	switch in := c.input; {
	case len(in.Shape) == 4 && (in.Type == Float32 || in.Type == Float16):
	case len(in.Shape) == 4 && in.Type == Uint8:
		c.pixels = true
	default:
		return fmt.Errorf("%w: its input is %s; a float N×C×H×W or uint8 N×H×W×C is expected", errNotClassifier, in)
	}
	if out := c.output; out.Type != Float32 && out.Type != Float16 || out.Ranked && len(out.Shape) != 2 {
		return fmt.Errorf("%w: its output is %s; a float N×K is expected", errNotClassifier, out)
	}
	if c.ranked() {
		if p := s.outputs[1]; p.Type != Int64 || p.Ranked && len(p.Shape) != 2 {
			return fmt.Errorf("%w: its second output is %s; int64 classes N×k of the best values are expected", errNotClassifier, p)
		}
	}
	if err := declared.check(); err != nil {
		return err
	}
	info, err := ParseModelInfo(s.metadata)
	if err != nil {
		return err
	}
	c.info = declared.Over(info)
	c.probable = s.softmax
	if c.info.Output != "" {
		c.probable = c.info.Output == OutputProbabilities
	}
	c.batch = max(0, int(c.input.Shape[0]))
	if c.pixels {
		err = c.sizePixels()
	} else {
		err = c.sizePlanes()
	}
	if err == nil {
		err = c.count()
	}
	if err != nil {
		return err
	}
	if n := len(c.info.ClassNames); n != 0 && n != c.classes {
		return fmt.Errorf("%d class names are given; its output has %d", n, c.classes)
	}
	if n := len(c.info.Mean); n != 0 && n != c.image[0] {
		return fmt.Errorf("a mean of %d channels is given; its input has %d", n, c.image[0])
	}
	return nil
}

// sizePlanes takes the image size from the input's shape, and where that
// leaves it open from what is declared.
func (c *Classifier) sizePlanes() error {
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

// sizePixels takes the channels from the input's shape; height and width are
// any, and those of the network inside are as declared.
func (c *Classifier) sizePixels() error {
	shape := c.input.Shape
	if shape[1] >= 0 || shape[2] >= 0 {
		return fmt.Errorf("its input %s fixes the size of the pixels; any height and width is expected", c.input)
	}
	c.image = c.info.InputSize
	if shape[3] >= 0 {
		c.image[0] = int(shape[3])
	}
	if c.image[0] != 1 && c.image[0] != 3 {
		return fmt.Errorf("its input %s has %d channels; 1 or 3 are expected", c.input, c.image[0])
	}
	return nil
}

// count sets the numbers of columns and classes. Exporters may leave them
// open although the weights fix them.
func (c *Classifier) count() (err error) {
	if c.output.Ranked {
		c.columns = int(c.output.Shape[1])
	}
	if c.columns < 1 {
		if c.columns, err = c.countColumns(); err != nil {
			return err
		}
	}
	c.classes = c.columns
	if c.ranked() {
		c.classes = len(c.info.ClassNames)
	}
	return nil
}

// countColumns runs one blank batch and looks at the shape of the result.
func (c *Classifier) countColumns() (int, error) {
	n := max(1, c.batch)
	f := c.forward()
	var x *Tensor
	var err error
	if c.pixels {
		const side = 32
		x, err = WrapBytes(make([]uint8, n*side*side*c.image[0]), int64(n), side, side, int64(c.image[0]))
	} else {
		x, err = f.planes(aligned(n*c.image[0]*c.image[1]*c.image[2]), n)
	}
	if err != nil {
		return 0, err
	}
	defer x.Close()
	shape, err := c.session.outputShape(x)
	if err != nil {
		return 0, err
	}
	if len(shape) != 2 || shape[0] != int64(n) || shape[1] < 1 {
		return 0, fmt.Errorf("%w: its output has shape %v for %d images", errNotClassifier, shape, n)
	}
	return int(shape[1]), nil
}

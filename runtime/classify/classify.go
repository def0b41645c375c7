// Package classify answers what is in a picture: it joins the decoding of
// image files with a finished ONNX classifier, as a program that serves a
// model needs it. (Package runtime executes models and never sees an image
// file; package data decodes and never sees a model.)
//
//	m, err := classify.Open("model.onnx", classify.Options{})
//	answers, err := m.Files(ctx, jpeg)
//	best := answers[0].Top(1)[0] // name and probability
//
// ONNX Runtime has to be open: see runtime.FindLibrary and runtime.Open.
//
// An image becomes the model's input in three steps, each as the model's
// metadata or the caller say: scaled and cut to the input's size
// (runtime.ModelInfo.Resize, Pillow's antialiased filters in 8 bits), three
// channels or one by ITU-R 601 luma, and (v/255 − mean)/std. A model that has
// these steps in its graph gets the pixels as decoded.
package classify

import (
	"context"
	"errors"
	"fmt"
	"image"
	"sync"

	"github.com/ortrain/ortrain/runtime"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// Options say how to run a model. The zero value is the right start.
type Options struct {
	// Runtime configures the session.
	Runtime runtime.Options
	// Declared goes before what the model's metadata says; a model of another
	// maker says nothing of its normalisation.
	Declared runtime.ModelInfo
	// MaxPixels is the largest width times height that is decoded; 0 means
	// DefaultMaxPixels. It bounds the memory of one image to 3 to 8 bytes a
	// pixel, and is checked before any of it is allocated.
	MaxPixels int
	// Batch is the most images that run at once; 0 means DefaultBatch. On a
	// device every run is of so many, fewer being filled up with blank ones: see
	// runtime.Classifier.PadTo.
	Batch int
}

// What Options mean by 0.
const (
	DefaultMaxPixels = 64 << 20
	DefaultBatch     = 32
)

// ErrClosed is returned by a closed Model.
var ErrClosed = errors.New("the classifier is closed")

// Model is a loaded classifier. All methods may be called by several
// goroutines at a time.
type Model struct {
	name      string
	options   Options
	network   *runtime.Classifier
	geometry  geometry
	normalise *pixel.Normaliser // nil for a model that takes pixels
	names     []string
	workers   sync.Pool // *worker

	closing sync.RWMutex // held for reading while the network runs
	closed  bool
}

// Open loads a classifier file. If neither the file nor o.Declared say how
// pixels become the input, the error is a *runtime.UndeclaredError.
func Open(path string, o Options) (*Model, error) {
	network, err := runtime.NewDeclaredClassifier(path, o.Declared, o.Runtime)
	if err != nil {
		return nil, err
	}
	return model(path, network, o)
}

// New is Open for an encoded model, which is not kept; name stands for it in
// errors.
func New(name string, encoded []byte, o Options) (*Model, error) {
	network, err := runtime.NewClassifierFromBytes(name, encoded, o.Declared, o.Runtime)
	if err != nil {
		return nil, err
	}
	return model(name, network, o)
}

func model(name string, network *runtime.Classifier, o Options) (*Model, error) {
	if o.MaxPixels < 1 {
		o.MaxPixels = DefaultMaxPixels
	}
	if o.Batch < 1 {
		o.Batch = DefaultBatch
	}
	m := &Model{name: name, options: o, network: network}
	if err := m.prepare(); err != nil {
		network.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m.workers.New = func() any { return new(worker) }
	network.PadTo(o.Batch)
	return m, nil
}

// prepare derives how images become the input.
func (m *Model) prepare() (err error) {
	size, info := m.network.Image(), m.network.Info()
	m.names = info.ClassNames
	if size[0] != 1 && size[0] != 3 {
		return fmt.Errorf("its input %s has %d channels; images have 1 or 3", m.network.Input(), size[0])
	}
	m.geometry.size = pixel.Size{C: size[0], H: size[1], W: size[2]}
	if m.network.TakesPixels() {
		return nil
	}
	if info.Mean == nil {
		return &runtime.UndeclaredError{Keys: []string{runtime.MetaMean, runtime.MetaStd}, Problem: fmt.Sprintf(
			"it does not say how its input is normalised (metadata %s and %s)", runtime.MetaMean, runtime.MetaStd)}
	}
	if m.normalise, err = pixel.NewNormaliser(widen(info.Mean), widen(info.Std)); err != nil {
		return err
	}
	return m.geometry.scaling(info.Resize, m.network.Metadata()[runtime.MetaInterpolation])
}

func widen(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// Name returns the path or name that the model was made from.
func (m *Model) Name() string { return m.name }

// Info returns what the metadata and Options.Declared say; the caller must not
// change it.
func (m *Model) Info() runtime.ModelInfo { return m.network.Info() }

// Metadata returns all metadata properties of the file; the caller must not
// change them.
func (m *Model) Metadata() map[string]string { return m.network.Metadata() }

// Network returns the classifier inside, for its ports and sizes. It is closed
// with the Model.
func (m *Model) Network() *runtime.Classifier { return m.network }

// MaxPixels returns the largest width times height of an image that is taken.
func (m *Model) MaxPixels() int { return m.options.MaxPixels }

// Files classifies image files: each is the content of a JPEG, PNG, WebP, GIF
// or BMP file. See Decode for errors; the first one ends it.
func (m *Model) Files(ctx context.Context, files ...[]byte) ([]Answer, error) {
	return gather(ctx, m, files, m.Decode)
}

// Images classifies decoded images. Transparency is dropped and of 16 bits the
// upper eight are kept, as Files does.
func (m *Model) Images(ctx context.Context, images ...image.Image) ([]Answer, error) {
	return gather(ctx, m, images, m.Convert)
}

// gather classifies in batches, so that memory does not grow with the number
// of images.
func gather[T any](ctx context.Context, m *Model, items []T, input func(T) (*Input, error)) ([]Answer, error) {
	var answers []Answer
	for at := 0; at < len(items); at += m.options.Batch {
		part := items[at:min(at+m.options.Batch, len(items))]
		inputs := make([]*Input, len(part))
		for i, item := range part {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			in, err := input(item)
			if err != nil && len(items) > 1 {
				return nil, fmt.Errorf("image %d: %w", at+i+1, err)
			}
			if err != nil {
				return nil, err
			}
			inputs[i] = in
		}
		got, err := m.Run(ctx, inputs...)
		if err != nil {
			return nil, err
		}
		answers = append(answers, got...)
	}
	return answers, nil
}

// Warm runs the model on a blank image, so that one that cannot run is found
// before anyone asks, and what a session does in its first run is done.
func (m *Model) Warm(ctx context.Context) error {
	h, w := m.geometry.size.H, m.geometry.size.W
	if h == 0 || w == 0 { // a model of pixels that does not say what it makes of them
		h, w = 224, 224
	}
	_, err := m.Images(ctx, image.NewGray(image.Rect(0, 0, w, h)))
	return err
}

// Close waits for the runs that are going on and frees the session. Closing
// twice is harmless.
func (m *Model) Close() error {
	m.closing.Lock()
	defer m.closing.Unlock()
	m.closed = true
	return m.network.Close()
}

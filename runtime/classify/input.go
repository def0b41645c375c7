package classify

import (
	"errors"
	"fmt"
	"image"
	"image/draw"

	"github.com/ortrain/ortrain/data/decode"
	"github.com/ortrain/ortrain/tricks/pixel"
)

// What is wrong with an image, for errors.Is.
var (
	ErrEmpty    = errors.New("the image is empty")
	ErrFormat   = errors.New("not a JPEG, PNG, WebP, GIF or BMP image")
	ErrTooLarge = errors.New("the image has too many pixels")
	ErrDamaged  = errors.New("the image is damaged")
)

// damaged is ErrDamaged in the words of the decoder.
type damaged struct{ error }

func (d damaged) Is(target error) bool { return target == ErrDamaged }
func (d damaged) Unwrap() error        { return d.error }

// Input is an image made ready for one Model's Run. It is never changed, and
// holds no more memory than the model's input; of a model that takes pixels,
// the decoded image's.
type Input struct {
	planes []float32    // C×H×W, normalised
	pixels *pixel.Image // instead, for a model that takes pixels
}

// Planes returns the normalised values, C×H×W, or nil of a model that takes
// pixels. The caller must not change them.
func (in *Input) Planes() []float32 { return in.planes }

// Pixels returns the decoded image of a model that takes pixels, else nil. The
// caller must not change it.
func (in *Input) Pixels() *pixel.Image { return in.pixels }

// Decode makes the content of an image file ready. An error is one of ErrEmpty,
// ErrFormat, ErrTooLarge and ErrDamaged, wrapped with the details.
func (m *Model) Decode(file []byte) (*Input, error) {
	if len(file) == 0 {
		return nil, ErrEmpty
	}
	head, err := decode.Info(file)
	switch {
	case errors.Is(err, decode.ErrFormat):
		return nil, ErrFormat
	case err != nil:
		return nil, damaged{err}
	}
	if err := m.checkSize(head.W, head.H); err != nil {
		return nil, err
	}
	w := m.workers.Get().(*worker)
	defer m.workers.Put(w)
	err = decode.Image(&w.decoded, file, decode.Options{Grey: m.geometry.size.C == 1, MaxPixels: m.options.MaxPixels})
	if err != nil {
		return nil, damaged{err}
	}
	return m.input(w), nil
}

// checkSize reports an image that is too large, from its header alone.
func (m *Model) checkSize(w, h int) error {
	if w > 0 && h > m.options.MaxPixels/w {
		return fmt.Errorf("%w: %d×%d are %.0f megapixels, at most %.0f are taken", ErrTooLarge, w, h, float64(w)*float64(h)/1e6, float64(m.options.MaxPixels)/1e6)
	}
	if w < 1 || h < 1 {
		return damaged{fmt.Errorf("damaged image: its size is %d×%d", w, h)}
	}
	return nil
}

// Convert makes a decoded image ready. An error is ErrTooLarge or ErrEmpty,
// wrapped.
func (m *Model) Convert(img image.Image) (*Input, error) {
	if img == nil || img.Bounds().Empty() {
		return nil, ErrEmpty
	}
	b := img.Bounds()
	if err := m.checkSize(b.Dx(), b.Dy()); err != nil {
		return nil, err
	}
	w := m.workers.Get().(*worker)
	defer m.workers.Put(w)
	w.decoded.Reset(pixel.Size{W: b.Dx(), H: b.Dy(), C: m.geometry.size.C})
	copyPixels(&w.decoded, img)
	return m.input(w), nil
}

// input makes the worker's decoded image the model's input.
func (m *Model) input(w *worker) *Input {
	if m.normalise == nil {
		whole := w.decoded
		w.decoded = pixel.Image{} // its memory goes with the input
		return &Input{pixels: &whole}
	}
	in := &Input{planes: make([]float32, m.geometry.size.Elements())}
	m.normalise.Apply(in.planes, m.geometry.fit(w, &w.decoded))
	return in
}

// copyPixels converts to 8 bits and dst's channels.
func copyPixels(dst *pixel.Image, img image.Image) {
	b := img.Bounds()
	pix := func() []uint8 {
		if o, ok := img.(interface{ Opaque() bool }); ok && o.Opaque() {
			rgba := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy())) // has fast conversions
			draw.Draw(rgba, rgba.Rect, img, b.Min, draw.Src)
			return rgba.Pix
		}
		// Colours as they are under the transparency.
		nrgba := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
		draw.Draw(nrgba, nrgba.Rect, img, b.Min, draw.Src)
		return nrgba.Pix
	}()
	for i := range dst.W * dst.H {
		p := pix[4*i : 4*i+3]
		if dst.C == 3 {
			copy(dst.Pix[3*i:], p)
		} else {
			dst.Pix[i] = luma(p[0], p[1], p[2])
		}
	}
}

// luma is ITU-R 601 in 16-bit fixed point, as Pillow's mode L has it.
func luma(r, g, b uint8) uint8 {
	return uint8((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

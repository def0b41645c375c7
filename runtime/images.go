package runtime

import "errors"

// wrapImages makes the step's images of the caller's memory, in the element
// type that the artifact set takes.
func (t *Trainer) wrapImages(in Inputs) (*Tensor, error) {
	switch bytes := t.manifest.Pixels != nil; {
	case bytes && in.Images != nil:
		return nil, errors.New("the step takes 8-bit values and was given normalised ones")
	case bytes:
		return WrapBytes(in.Bytes, t.imagesShape...)
	case in.Bytes != nil:
		return nil, errors.New("the step takes normalised values and was given 8-bit ones: build the artifact set with Pixels")
	}
	return WrapTensor(in.Images, t.imagesShape...)
}

// blankImages returns zeros of the type and shape of the step's images.
func (t *Trainer) blankImages() (*Tensor, error) {
	if t.manifest.Pixels == nil {
		return NewTensor(t.imagesShape...)
	}
	n, err := elements(t.imagesShape)
	if err != nil {
		return nil, err
	}
	return WrapBytes(make([]uint8, n), t.imagesShape...)
}

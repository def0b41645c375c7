package runtime

import "errors"

// wrapImages makes images of a shape of the caller's memory, in the element type
// that the artifact set takes.
func (t *Trainer) wrapImages(in Inputs, shape []int64) (*Tensor, error) {
	switch bytes := t.manifest.Pixels != nil; {
	case bytes && in.Images != nil:
		return nil, errors.New("the step takes 8-bit values and was given normalised ones")
	case bytes:
		return WrapBytes(in.Bytes, shape...)
	case in.Bytes != nil:
		return nil, errors.New("the step takes normalised values and was given 8-bit ones: build the artifact set with Pixels")
	}
	return WrapTensor(in.Images, shape...)
}

// blankImages returns zeros of a shape and of the type of the step's images.
func (t *Trainer) blankImages(shape []int64) (*Tensor, error) {
	if t.manifest.Pixels == nil {
		return NewTensor(shape...)
	}
	n, err := elements(shape)
	if err != nil {
		return nil, err
	}
	return WrapBytes(make([]uint8, n), shape...)
}

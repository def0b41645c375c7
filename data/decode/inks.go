package decode

import "github.com/ortrain/ortrain/tricks/pixel"

// A JPEG of four components holds inks. Adobe's programs store them inverted,
// and so, by convention, does everybody else: 255 is no ink.

// decodeInks decodes a window of a JPEG of four inks with libjpeg-turbo, which
// turns YCCK into CMYK but neither into RGB.
func decodeInks(dst *pixel.Image, file []byte, h *header, shrink int, v Window, lib *libjpeg) error {
	inks := make([]uint8, 4*v.W*v.H)
	if err := lib.decode(inks, file, h, 4, shrink, v); err != nil {
		return err
	}
	for i := range inks {
		inks[i] = 255 - inks[i]
	}
	for i := range v.W * v.H {
		r, g, b := fromInk(inks[4*i : 4*i+4])
		put(dst, i, r, g, b)
	}
	return nil
}

// fromInk is Pillow's conversion of CMYK to RGB, where 255 is full ink.
func fromInk(ink []uint8) (r, g, b uint8) {
	light := 255 - int32(ink[3])
	one := func(ink uint8) uint8 {
		t := int32(ink)*light + 128
		return clamp(light - (t>>8+t)>>8)
	}
	return one(ink[0]), one(ink[1]), one(ink[2])
}

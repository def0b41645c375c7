// Package formula makes the images of the goldens of Pillow and torchvision,
// for tests: tools/parity/pixels/images.py has the formulas in words.
package formula

import (
	"fmt"
	"strings"

	"github.com/ortrain/ortrain/tricks/pixel/pil"
)

// Image returns the image of a name such as photo.33x17x3: kind, width,
// height, channels. It panics on another name.
func Image(name string) pil.Image {
	kind, size, _ := strings.Cut(name, ".")
	var m pil.Image
	if _, err := fmt.Sscanf(size, "%dx%dx%d", &m.W, &m.H, &m.C); err != nil {
		panic(fmt.Sprintf("formula: image %q: %v", name, err))
	}
	seed := uint64(0xCBF29CE484222325)
	for _, b := range []byte(name) {
		seed = (seed ^ uint64(b)) * 0x100000001B3
	}
	m.Pix = make([]uint8, m.W*m.H*m.C)
	for i := range m.Pix {
		z := seed + uint64(i+1)*0x9E3779B97F4A7C15
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		c, x, y := i%m.C, i/m.C%m.W, i/m.C/m.W
		switch kind {
		case "noise":
			m.Pix[i] = uint8(z >> 56)
		case "photo":
			m.Pix[i] = uint8(40 + (5*x+3*y+40*c)%128 + int(z>>59))
		case "dark":
			m.Pix[i] = uint8((z >> 56) % 3)
		case "flat":
			m.Pix[i] = uint8(17 + 60*c)
		default:
			panic(fmt.Sprintf("formula: image %q: no such kind", name))
		}
	}
	return m
}

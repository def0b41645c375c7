package data

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/ortrain/ortrain/tricks/pixel"
)

// fingerprinted is how many files of a set of image files are read to tell it
// from another; their names and labels count all.
const fingerprinted = 512

// Fingerprint returns a digest that tells a subset from any other: its images
// in order, their labels and classes. Of sources whose images are files it
// reads but a sample of the files, spread over the set.
func Fingerprint(s *Subset) ([sha256.Size]byte, error) {
	h := sha256.New()
	size := s.Source.Size()
	numbers(h, size.W, size.H, size.C, s.Len(), len(s.Source.Classes()))
	for _, c := range s.Source.Classes() {
		words(h, c)
	}
	encoded, files := s.Source.(Encoded)
	every := 1
	if files {
		every = max(1, s.Len()/fingerprinted)
	}
	var img pixel.Image
	var file []byte
	for i := range s.Len() {
		image := s.At(i)
		numbers(h, image, s.Label(i))
		var err error
		switch {
		case files:
			words(h, encoded.Name(image))
			if i%every == 0 {
				file, err = encoded.Bytes(image, file)
				words(h, string(file))
			}
		default:
			if err = s.Source.Read(image, &img); err == nil {
				h.Write(img.Pix)
			}
		}
		if err != nil {
			return [sha256.Size]byte{}, fmt.Errorf("image %d: %w", image, err)
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func numbers(h hash.Hash, v ...int) {
	var b [8]byte
	for _, n := range v {
		binary.LittleEndian.PutUint64(b[:], uint64(n))
		h.Write(b[:])
	}
}

func words(h hash.Hash, s string) {
	numbers(h, len(s))
	h.Write([]byte(s))
}

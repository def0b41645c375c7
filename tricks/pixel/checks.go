package pixel

import (
	"encoding/hex"
	"math"
	"strings"

	"github.com/ortrain/ortrain/tricks/nearest"
	"github.com/ortrain/ortrain/tricks/pixel/pil"
	"github.com/ortrain/ortrain/tricks/strict"
)

// checkProbability refuses what is no probability.
func checkProbability(key string, p float64) error {
	if !(p >= 0 && p <= 1) {
		return strict.Errorf(key, "a probability, at least 0 and at most 1, got %v", p)
	}
	return nil
}

// checkWithin refuses what is outside [lo, hi].
func checkWithin(key string, v, lo, hi float64) error {
	if !(v >= lo && v <= hi) {
		return strict.Errorf(key, "must be %v to %v, got %v", lo, hi, v)
	}
	return nil
}

// checkCount refuses what is outside lo to hi.
func checkCount(key string, v, lo, hi int) error {
	if v < lo || v > hi {
		return strict.Errorf(key, "must be %d to %d, got %d", lo, hi, v)
	}
	return nil
}

// checkOrder refuses a range that is upside down.
func checkOrder(minKey string, lo float64, maxKey string, hi float64) error {
	if lo > hi {
		return strict.Errorf(minKey, "%v is above %s, %v", lo, maxKey, hi)
	}
	return nil
}

// first returns the first of the errors that is one.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkName refuses what is not among the names.
func checkName(key, what, name string, names ...string) error {
	for _, n := range names {
		if n == name {
			return nil
		}
	}
	return strict.Errorf(key, "unknown %s %q%s", what, name, nearest.Hint(name, names))
}

var filters = map[string]pil.Filter{
	"nearest": pil.Nearest, "bilinear": pil.Bilinear, "bicubic": pil.Bicubic, "lanczos": pil.Lanczos, "box": pil.Box,
}

// checkFill accepts black, grey, mean and #rrggbb.
func checkFill(fill string) error {
	if _, ok := hexColour(fill); ok {
		return nil
	}
	if strings.HasPrefix(fill, "#") {
		return strict.Errorf("fill", "%q is not a colour such as #7c7468", fill)
	}
	return checkName("fill", "colour", fill, "black", "grey", "mean")
}

func hexColour(fill string) (c pil.Colour, ok bool) {
	digits, ok := strings.CutPrefix(fill, "#")
	if !ok || len(digits) != 6 {
		return c, false
	}
	_, err := hex.Decode(c[:], []byte(digits))
	return c, err == nil
}

// fillColour returns the colour of a fill that checkFill accepts; mean is the
// data's.
func fillColour(fill string, info Info) pil.Colour {
	switch fill {
	case "grey":
		return pil.Colour{128, 128, 128}
	case "mean":
		var c pil.Colour
		for i := range info.Mean {
			c[i] = uint8(min(max(math.Round(info.Mean[i]*255), 0), 255))
		}
		return c
	}
	c, _ := hexColour(fill)
	return c
}

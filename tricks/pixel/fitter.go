package pixel

import "github.com/ortrain/ortrain/tricks/pixel/pil"

// Images of various sizes are brought to one size by the first transform of
// their chain, a Fitter. It looks at a part of the image only, so a decoder
// need not decode the rest, and where the part shrinks much it may decode it
// smaller in the first place.

// Fitter is a Pixels that makes one size of images of any size.
type Fitter interface {
	Pixels
	// Wants returns what of an image of size in is looked at.
	Wants(p *Params, in Size) Wanted
	// ApplyPart is Apply to an image of which there is only a part, which
	// holds what is wanted.
	ApplyPart(dst *Image, src *Part, p *Params)
}

// Wanted is a window of an image, X, Y, W, H, and about how many pixels the
// window becomes.
type Wanted struct {
	X, Y, W, H int
	OutW, OutH int
}

// Whole returns the part of an image that is all of it.
func Whole(m *Image) Part { return Part{Image: *m, Shrink: 1, Of: m.Size} }

// across returns where points of a window lie in the part: n points, of which
// the first is number first, that divide the whole image's pixels from lo to
// hi in steps. Pixels outside [lo, hi) are not looked at.
func (m *Part) across(lo, hi int, step float64, first int) pil.Grid {
	return m.grid(lo, hi, step, first, m.X, m.W)
}

// down is across for rows.
func (m *Part) down(lo, hi int, step float64, first int) pil.Grid {
	return m.grid(lo, hi, step, first, m.Y, m.H)
}

func (m *Part) grid(lo, hi int, step float64, first, from, n int) pil.Grid {
	s := m.Shrink
	g := pil.Grid{Step: step / float64(s), First: first, Lo: max((lo-from)/s, 0), Hi: min((hi-from+s-1)/s, n)}
	if s == 1 {
		g.Origin = lo - from
	} else {
		g.Start = float64(lo-from) / float64(s)
	}
	return g
}

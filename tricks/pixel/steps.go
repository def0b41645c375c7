package pixel

import (
	"github.com/ortrain/ortrain/tricks/pixel/policy"
	"github.com/ortrain/ortrain/tricks/rng"
)

// maxSteps is how many operations Params hold: Int[0] is their number,
// Int[1+i] the operation, Float[i] its value, Int[1+maxSteps+i] the pixel at
// the centre of a Cutout's hole.
const maxSteps = policy.MostSteps

// addStep appends an operation; the sign and the place of a hole are drawn
// whatever the operation, so that the draws of later ones do not move.
func (p *Params) addStep(r *rng.Stream, s *policy.Space, op policy.Op, magnitude float64, in Size) {
	negative, at := r.Uint64()>>63 == 1, r.IntN(in.W*in.H)
	if op == policy.Identity {
		return
	}
	if op == policy.SamplePairing {
		p.Seed = r.Uint64() // which partner
	}
	n := p.Int[0]
	p.Int[1+n], p.Float[n], p.Int[1+maxSteps+n] = int(op), s.Value(op, magnitude, negative), at
	p.Int[0]++
}

// runSteps carries the operations out, through one buffer.
func runSteps(painter policy.Painter, dst, src *Image, p *Params) {
	n := p.Int[0]
	if n == 0 {
		copy(dst.Pix, src.Pix)
		return
	}
	between := &p.borrow().images[0]
	if n > 1 {
		between.Reset(src.Size)
	}
	from := src
	for i := range n {
		to := dst
		if (n-i)%2 == 0 {
			to = between
		}
		at, op := p.Int[1+maxSteps+i], policy.Op(p.Int[1+i])
		if op == policy.SamplePairing {
			painter.Partner = p.partner(src.Size).view()
		}
		painter.Apply(to.view(), from.view(), op, p.Float[i], at%src.W, at/src.W)
		from = to
	}
}

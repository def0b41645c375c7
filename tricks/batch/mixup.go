package batch

import (
	_ "embed" // the card

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
)

//go:embed mixup.md
var mixupCard string

func init() {
	Mixers.Register(tricks.Trick{
		Name:    "mixup",
		Summary: "blend each image and its target with those of another image",
		Card:    mixupCard,
	}, func() Options { return &MixupOptions{Alpha: 0.2, Mode: string(PerBatch)} })
}

// Mixup blends image i with a partner j: λ·x_i + (1−λ)·x_j with λ from
// Beta(Alpha, Alpha), the targets likewise (Zhang et al. 2017, "mixup: Beyond
// Empirical Risk Minimization").
type Mixup struct {
	Alpha float64
	Mode  Mode
}

// Sample implements Mixer.
func (m Mixup) Sample(r *rng.Stream, s Shape, d *Draw) {
	d.reset(s.N, 2)
	var lambda float64
	m.Mode.partners(r, s.N, func(i, j int, fresh bool) {
		if fresh {
			lambda = beta(r, m.Alpha)
		}
		p := d.Parts(i)
		p[0], p[1] = Part{From: i, Weight: lambda}, Part{From: j, Weight: 1 - lambda}
		if i == j {
			p[0].Weight, p[1].Weight = 1, 0
		}
	})
}

// Apply implements Mixer.
func (Mixup) Apply(dst, src []float32, s Shape, d *Draw, i int) {
	n, p := s.Image(), d.Parts(i)
	a, b := src[p[0].From*n:(p[0].From+1)*n], src[p[1].From*n:(p[1].From+1)*n]
	if p[1].Weight == 0 {
		copy(dst, a)
		return
	}
	u, v := float32(p[0].Weight), float32(p[1].Weight)
	dst, b = dst[:len(a)], b[:len(a)]
	for k, x := range a {
		// Rounding each product keeps machines with fused multiply-adds from
		// giving other bytes.
		dst[k] = float32(u*x) + float32(v*b[k])
	}
}

// MixupOptions are the recipe keys of mixup.
type MixupOptions struct {
	// Alpha is the parameter of the Beta distribution; 0 turns mixup off.
	Alpha float64 `yaml:"alpha"`
	// Mode is "batch", "pair" or "element".
	Mode string `yaml:"mode"`
}

// Validate implements Options.
func (o *MixupOptions) Validate() error {
	if err := checkBeta("alpha", o.Alpha); err != nil {
		return err
	}
	return checkMode(o.Mode, PerBatch, PerPair, PerElement)
}

// Build implements Options.
func (o *MixupOptions) Build() Mixer {
	if o.Alpha == 0 {
		return nil
	}
	return Mixup{Alpha: o.Alpha, Mode: Mode(o.Mode)}
}

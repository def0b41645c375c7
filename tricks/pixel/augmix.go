package pixel

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/pixel/policy"
	"github.com/ortrain/ortrain/tricks/rng"
)

//go:embed augmix.md
var augMixCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "augmix",
		Summary: "mix the image with a few chains of random operations on it",
		Card:    augMixCard,
	}, func() Options {
		return &AugMixOptions{Severity: 3, Width: 3, Depth: 0, Alpha: 1, AllOps: true, Fill: "black", Interpolation: "bilinear"}
	})
}

// AugMix mixes the image with Width chains of random operations on it: the
// chains' weights are Dirichlet(α, …, α), the share of their mixture in the
// result is Beta(α, α) (Hendrycks et al. 2019, "AugMix: A Simple Data
// Processing Method to Improve Robustness and Uncertainty").
type AugMix struct {
	Width, Depth int // Depth 0: 1 to 3, drawn for each chain
	Severity     int // operations are drawn from the levels below
	Alpha        float64
	Space        *policy.Space
	Painter      policy.Painter
}

const (
	deepest      = 3 // of a chain whose depth is drawn
	mixSlots     = len(Params{}.Int)
	mostChains   = len(Params{}.Float) - 1
	levelShift   = 8
	negativeFlag = 1 << 16
)

// Size implements Transform.
func (AugMix) Size(in Size) Size { return in }

// Sample implements Transform. Float[0] is the weight of the image itself,
// Float[1+i] that of chain i; the chains' operations are packed into Int,
// Width rows of equal length: the operation, level<<8 and 1<<16 for the
// negative sign, 0 for none.
func (a AugMix) Sample(r *rng.Stream, _ Size) (p Params) {
	own, mixed := gamma(r, a.Alpha), gamma(r, a.Alpha)
	share := mixed / (own + mixed)
	p.Float[0] = 1 - share
	sum := 0.0
	for i := range a.Width {
		p.Float[1+i] = gamma(r, a.Alpha)
		sum += p.Float[1+i]
	}
	ops, slots := a.Space.Ops(), a.slots()
	for i := range a.Width {
		p.Float[1+i] *= share / sum
		depth := a.Depth
		if depth == 0 {
			depth = 1 + r.IntN(deepest)
		}
		for j := range depth {
			op := ops[r.IntN(len(ops))]
			level, negative := r.IntN(a.Severity), r.IntN(2)
			p.Int[i*slots+j] = int(op) | level<<levelShift | negative*negativeFlag
		}
	}
	return p
}

func (a AugMix) slots() int {
	if a.Depth == 0 {
		return deepest
	}
	return a.Depth
}

// Apply implements Pixels. The mixture is summed in single precision and
// rounded to the nearest level.
func (a AugMix) Apply(dst, src *Image, p *Params) {
	s := p.borrow()
	if cap(s.sums) < len(src.Pix) {
		s.sums = make([]float32, len(src.Pix))
	}
	sums, w := s.sums[:len(src.Pix)], float32(p.Float[0])
	for i, v := range src.Pix {
		sums[i] = w * float32(v)
	}
	slots := a.slots()
	for chain := range a.Width {
		from := src
		for j, packed := range p.Int[chain*slots : (chain+1)*slots] {
			op := policy.Op(packed & 0xFF)
			if op == policy.Identity {
				continue
			}
			to := &s.images[j%2]
			to.Reset(src.Size)
			level := packed >> levelShift & 0xFF
			painter, value := a.Painter, a.Space.Value(op, float64(level), packed&negativeFlag != 0)
			painter.Apply(to.view(), from.view(), op, value, 0, 0)
			from = to
		}
		w := float32(p.Float[1+chain])
		for i, v := range from.Pix {
			sums[i] += w * float32(v)
		}
	}
	for i, v := range sums {
		dst.Pix[i] = uint8(min(max(v+0.5, 0), 255))
	}
}

// gamma draws from the gamma distribution of a shape and scale 1 (Marsaglia
// and Tsang 2000, "A simple method for generating gamma variables"), raised to
// shapes below 1 by a power of a uniform draw.
func gamma(r *rng.Stream, shape float64) float64 {
	if shape == 1 {
		return r.ExpFloat64()
	}
	if shape < 1 {
		// The floor keeps two vanishing draws from dividing nothing by nothing.
		return max(gamma(r, shape+1)*math.Pow(1-r.Float64(), 1/shape), 1e-300)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(1-r.Float64()) < 0.5*x*x+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// AugMixOptions are the recipe keys of AugMix.
type AugMixOptions struct {
	// Severity is 1 to 10: operations take one of the levels below it.
	Severity int `yaml:"severity"`
	// Width is the number of chains.
	Width int `yaml:"width"`
	// Depth is the length of a chain; 0 draws 1 to 3 for each.
	Depth int `yaml:"depth"`
	// Alpha is the parameter of both distributions.
	Alpha float64 `yaml:"alpha"`
	// AllOps adds brightness, colour, contrast and sharpness.
	AllOps bool `yaml:"all_ops"`
	// Fill is black, grey, mean or #rrggbb.
	Fill string `yaml:"fill"`
	// Interpolation is "nearest" or "bilinear".
	Interpolation string `yaml:"interpolation"`
}

// Validate implements Options.
func (o *AugMixOptions) Validate() error {
	depth := o.Depth
	if depth == 0 {
		depth = deepest
	}
	return first(
		checkCount("severity", o.Severity, 1, 10),
		checkCount("depth", o.Depth, 0, mixSlots),
		checkCount("width", o.Width, 1, min(mostChains, mixSlots/max(depth, 1))),
		checkWithin("alpha", o.Alpha, 0.01, 1000),
		checkFill(o.Fill),
		checkName("interpolation", "interpolation", o.Interpolation, "nearest", "bilinear"),
	)
}

// Build implements Options.
func (o *AugMixOptions) Build(info Info) (Transform, error) {
	return AugMix{
		Width: o.Width, Depth: o.Depth, Severity: o.Severity, Alpha: o.Alpha,
		Space:   policy.AugMix(info.In.W, info.In.H, o.AllOps),
		Painter: policy.Painter{Filter: filters[o.Interpolation], Outside: fillColour(o.Fill, info)},
	}, nil
}

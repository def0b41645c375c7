package pixel

import (
	_ "embed" // the card
	"math"

	"github.com/ortrain/ortrain/tricks"
	"github.com/ortrain/ortrain/tricks/rng"
)

//go:embed randomerasing.md
var randomErasingCard string

func init() {
	Transforms.Register(tricks.Trick{
		Name:    "random_erasing",
		Summary: "fill a random rectangle with noise, one colour or the mean",
		Card:    randomErasingCard,
	}, func() Options {
		return &RandomErasingOptions{P: 0.5, AreaMin: 0.02, AreaMax: 0.4, Aspect: 0.3, Tries: 100, Fill: "noise"}
	})
}

// RandomErasing fills, with probability P, a rectangle at a uniform place,
// whose share of the area is uniform and whose aspect (height over width) is
// log-uniform in Aspect to 1/Aspect (Zhong et al. 2017, "Random Erasing Data
// Augmentation").
type RandomErasing struct {
	P                float64
	AreaMin, AreaMax float64
	Aspect           float64
	Tries            int
	Fill             ErasingFill
	// levels normalises 8-bit values, for noise and colours.
	levels *Normaliser
}

// ErasingFill says what an erased rectangle shows.
type ErasingFill uint8

// The fills. All but EraseGaussian are 8-bit values, normalised.
const (
	EraseNoise    ErasingFill = iota // uniform noise, each value of each pixel
	EraseGaussian                    // N(0, 1) after normalisation
	EraseColour                      // one uniform colour a rectangle
	EraseMean                        // the data's mean colour: 0 after normalisation
)

var erasingFills = []string{"noise", "gaussian", "colour", "mean"}

// Size implements Transform.
func (RandomErasing) Size(in Size) Size { return in }

// Sample implements Transform. Int[0…3] are left, top, width and height; Seed
// is that of the noise. Skip is set with probability 1 − P, and when no
// rectangle fitted.
func (e RandomErasing) Sample(r *rng.Stream, in Size) (p Params) {
	if p.Skip = r.Float64() >= e.P; p.Skip {
		return p
	}
	span := -2 * math.Log(e.Aspect)
	for range e.Tries {
		area := float64(in.W*in.H) * (e.AreaMin + r.Float64()*(e.AreaMax-e.AreaMin))
		aspect := e.Aspect * math.Exp(r.Float64()*span)
		w, h := int(math.RoundToEven(math.Sqrt(area/aspect))), int(math.RoundToEven(math.Sqrt(area*aspect)))
		if w < in.W && h < in.H {
			p.Int[0], p.Int[1] = r.IntN(in.W-w+1), r.IntN(in.H-h+1)
			p.Int[2], p.Int[3] = w, h
			p.Seed = r.Uint64()
			return p
		}
	}
	p.Skip = true
	return p
}

// ApplyPlanes implements Planes.
func (e RandomErasing) ApplyPlanes(x []float32, size Size, p *Params) {
	left, top, w, h := p.Int[0], p.Int[1], p.Int[2], p.Int[3]
	noise := p.noise()
	for c := range size.C {
		colour := float32(0)
		if e.Fill == EraseColour {
			colour = e.levels.table[c][noise.Uint64()>>56]
		}
		for y := top; y < top+h; y++ {
			row := x[(c*size.H+y)*size.W+left:][:w]
			switch e.Fill {
			case EraseNoise:
				var word uint64
				for i := range row {
					if i%8 == 0 {
						word = noise.Uint64()
					}
					row[i] = e.levels.table[c][word&0xFF]
					word >>= 8
				}
			case EraseGaussian:
				for i := range row {
					row[i] = float32(noise.NormFloat64())
				}
			default:
				fill(row, colour)
			}
		}
	}
}

// RandomErasingOptions are the recipe keys of random erasing.
type RandomErasingOptions struct {
	// P is the probability, in [0, 1].
	P float64 `yaml:"p"`
	// AreaMin and AreaMax bound the rectangle's share of the image.
	AreaMin float64 `yaml:"area_min"`
	AreaMax float64 `yaml:"area_max"`
	// Aspect is the smallest height over width; the largest is 1/Aspect.
	Aspect float64 `yaml:"aspect"`
	// Tries is how many rectangles are drawn until one fits.
	Tries int `yaml:"tries"`
	// Fill is noise, gaussian, colour or mean.
	Fill string `yaml:"fill"`
}

// Validate implements Options.
func (o *RandomErasingOptions) Validate() error {
	return first(
		checkProbability("p", o.P),
		checkWithin("area_min", o.AreaMin, 0, 1),
		checkWithin("area_max", o.AreaMax, 0, 1),
		checkOrder("area_min", o.AreaMin, "area_max", o.AreaMax),
		checkWithin("aspect", o.Aspect, 0.001, 1),
		checkCount("tries", o.Tries, 1, 10_000),
		checkName("fill", "fill", o.Fill, erasingFills...),
	)
}

// Build implements Options.
func (o *RandomErasingOptions) Build(info Info) (Transform, error) {
	levels, err := NewNormaliser(info.Mean, info.Std)
	if err != nil {
		return nil, err
	}
	e := RandomErasing{P: o.P, AreaMin: o.AreaMin, AreaMax: o.AreaMax, Aspect: o.Aspect, Tries: o.Tries, levels: levels}
	for i, name := range erasingFills {
		if name == o.Fill {
			e.Fill = ErasingFill(i)
		}
	}
	return e, nil
}

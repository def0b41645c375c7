package artifact

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/ortrain/ortrain/graphs/ir"
)

// State is everything that training changes: flat vectors in the manifest's
// layout.
type State struct {
	// Params is [ParamCount]; Slots holds one such vector per optimizer slot,
	// in the manifest's order; Stats is [StatCount].
	Params []float32
	Slots  [][]float32
	Stats  []float32
	// LossScale is the state of the loss's scale; nil without mixed precision.
	LossScale []float32
}

// InitialState fills a state as the manifest's Init specifications say. The
// values of a tensor depend on the seed and its name alone, so that adding a
// layer leaves the others as they were.
func (m *Manifest) InitialState() *State {
	s := &State{
		Params:    make([]float32, m.ParamCount()),
		Stats:     make([]float32, m.StatCount()),
		LossScale: m.Precision.First(),
	}
	for _, t := range m.Parameters {
		fill(s.Params[t.Offset:t.Offset+t.Size], t, m.Seed)
	}
	for _, t := range m.Statistics {
		fill(s.Stats[t.Offset:t.Offset+t.Size], t, m.Seed)
	}
	for _, slot := range m.Slots {
		v := make([]float32, m.ParamCount())
		if slot.Init != 0 {
			for i := range v {
				v[i] = slot.Init
			}
		}
		s.Slots = append(s.Slots, v)
	}
	return s
}

func fill(dst []float32, t TensorInfo, seed uint64) {
	h := fnv.New64a()
	h.Write([]byte(t.Name))
	rng := rand.New(rand.NewPCG(seed, h.Sum64()))
	normal := func(std float64) {
		for i := range dst {
			dst[i] = float32(rng.NormFloat64() * std)
		}
	}
	uniform := func(bound float64) {
		for i := range dst {
			dst[i] = float32((2*rng.Float64() - 1) * bound)
		}
	}
	switch in := t.Init; in.Kind {
	case ir.InitOnes:
		for i := range dst {
			dst[i] = 1
		}
	case ir.InitHeNormal:
		normal(math.Sqrt(2 / float64(in.Fan)))
	case ir.InitHeUniform:
		uniform(math.Sqrt(6 / float64(in.Fan)))
	case ir.InitXavierNormal:
		normal(math.Sqrt(2 / float64(in.FanIn+in.FanOut)))
	case ir.InitXavierUniform:
		uniform(math.Sqrt(6 / float64(in.FanIn+in.FanOut)))
	case ir.InitUniform:
		uniform(in.Bound)
	default:
		clear(dst)
	}
}

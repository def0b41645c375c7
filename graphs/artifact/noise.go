package artifact

import "math/rand/v2"

// FillNoise draws the noise vector of a step: a function of the seed and the
// step's global number alone, so that a resumed run draws what an
// uninterrupted one would. dst is [NoiseCount].
func (m *Manifest) FillNoise(dst []float32, seed uint64, step int64) {
	// One stream for each step; a tensor's numbers follow those before it.
	source := rand.NewPCG(seed^0x6e6f697365, uint64(step))
	rng := rand.New(source)
	for _, r := range m.Random {
		part := dst[r.Offset : r.Offset+r.Size]
		if r.Keep == 0 {
			for i := range part {
				part[i] = rng.Float32()
			}
			continue
		}
		scale := float32(1 / r.Keep)
		for i := range part {
			part[i] = 0
			if rng.Float64() < r.Keep {
				part[i] = scale
			}
		}
	}
}

package batch

import (
	"testing"

	"github.com/ortrain/ortrain/tricks/rng"
)

// A trick that only moves pixels mixes 8-bit values to what it makes of the
// same numbers in float32, and a switch names the first that does more.
func TestPastersMixBytes(t *testing.T) {
	r := rng.NewStream()
	for _, m := range every {
		p, ok := m.(Paster)
		if _, blends := m.(Mixup); ok == blends {
			t.Errorf("%s: a Paster: %v", name(m), ok)
		}
		if !ok {
			continue
		}
		for trial := range 30 {
			s := Shape{N: 2 + trial%5, C: 1 + 2*(trial%2), H: 1 + trial%9, W: 1 + trial%7}
			r.Reset(1, 2, trial, 3)
			var d Draw
			m.Sample(r, s, &d)
			floats, bytes := numbered(s), make([]uint8, s.N*s.Image())
			for i := range floats {
				bytes[i] = uint8(i % 251)
				floats[i] = float32(bytes[i])
			}
			for i := range s.N {
				want, got := make([]float32, s.Image()), make([]uint8, s.Image())
				m.Apply(want, floats, s, &d, i)
				p.ApplyBytes(got, bytes, s, &d, i)
				for k, v := range got {
					if float32(v) != want[k] {
						t.Fatalf("%s %+v: image %d, value %d is %d, want %v", name(m), s, i, k, v, want[k])
					}
				}
			}
		}
	}
	for want, choices := range map[string][]Choice{
		"":      {{Name: "cutmix", P: 0.5, Mixer: CutMix{Alpha: 1, Mode: PerBatch}}, {Name: "ricap", P: 0.5, Mixer: RICAP{Beta: 0.3, Mode: PerBatch}}, {Name: "mixup", P: 0, Mixer: Mixup{1, PerBatch}}},
		"mixup": {{Name: "cutmix", P: 0.5, Mixer: CutMix{Alpha: 1, Mode: PerBatch}}, {Name: "mixup", P: 0.1, Mixer: Mixup{1, PerBatch}}},
	} {
		s, err := NewSwitch(3, choices...)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.NeedsFloats(); got != want {
			t.Errorf("NeedsFloats is %q, want %q", got, want)
		}
	}
}
